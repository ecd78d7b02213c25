import { fill, h, roving } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { attempt } from "../lib/toast.js";
import { foundMessage } from "./found.js";

const WAIT_MS = 250;

/** Full-text search in the room, as one types. */
export function searchPanel(room, { jump }) {
  let timer = null;
  let asked = 0;
  const status = h("p.empty", { role: "status" }, t("search.hint"));
  const results = h("ul.found-list", { role: "list", testid: "search-results" });
  const more = h("button.plain", { type: "button", hidden: true }, t("search.more"));
  const input = h("input", { type: "search", autofocus: true, testid: "search-input", placeholder: t("search.placeholder", { room: room.info.title }), "aria-label": t("search.title"), oninput: () => {
    clearTimeout(timer);
    timer = setTimeout(() => search(), WAIT_MS);
  } });

  async function search(cursor) {
    const query = input.value.trim();
    const turn = ++asked;
    if (!query) {
      fill(results);
      more.hidden = true;
      return void fill(status, t("search.hint"));
    }
    const reply = await attempt(() => room.command("message.search", { query, cursor, limit: 30 }));
    if (!reply || turn !== asked) return undefined;
    const rows = reply.messages.map((message) => foundMessage(message, query, jump));
    if (cursor) results.append(...rows);
    else fill(results, rows);
    more.hidden = !reply.cursor;
    more.onclick = () => search(reply.cursor);
    return void fill(status, results.children.length > 0 ? t("search.found", { count: results.children.length }) : t("search.none"));
  }

  roving(results, "button");
  return { title: t("search.title"), body: h("div.panel-body", { testid: "search-panel", role: "search" }, input, status, results, more), destroy: () => clearTimeout(timer) };
}
