import { field, formDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

/** Asks for a day and jumps to its first message, or to the next one after it. */
export function dateDialog(room, jump) {
  const today = new Date();
  const iso = `${today.getFullYear()}-${String(today.getMonth() + 1).padStart(2, "0")}-${String(today.getDate()).padStart(2, "0")}`;
  formDialog({
    title: t("date.title"),
    fields: [field(t("date.label"), h("input", { type: "date", name: "date", required: true, autofocus: true, value: iso, max: iso, testid: "date-input" }))],
    submitLabel: t("date.submit"),
    testid: "date",
    submit: async ({ date }) => {
      const [year, month, dayOfMonth] = date.split("-").map(Number);
      const pos = await firstAfter(room, new Date(year, month - 1, dayOfMonth).getTime());
      if (pos !== null) jump(pos);
    },
  });
}

/** The `pos` of the first message at or after `at`, by bisection over positions; the last message where none is. */
export async function firstAfter(room, at) {
  const page = async (range) => (await room.command("message.list", range)).messages;
  const [newest] = await page({ limit: 1 });
  if (!newest) return null;
  let [low, high, found] = [0, newest.pos, newest.pos];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const [next] = await page({ after: middle - 1, limit: 1 });
    if (next && next.at < at) low = next.pos;
    else [high, found] = [middle, next?.pos ?? found];
  }
  return found;
}
