import { fill, h, roving } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";
import { foundMessage } from "./found.js";

const SHOWN = 50;

/** The room's pinned messages, the latest first. */
export function pinsPanel(room, { jump }) {
  const list = h("ul.found-list", { role: "list", testid: "pin-list" });
  const loaded = new Map();
  const draw = () => {
    const pins = room.pins.slice(-SHOWN).reverse().map((pos) => loaded.get(pos)).filter(Boolean);
    fill(list, pins.length > 0 ? pins.map((message) => foundMessage(message, "", jump, unpin(message))) : h("p.empty", null, t("pins.none")));
  };
  const load = async () => {
    for (const pos of room.pins.slice(-SHOWN).filter((each) => !loaded.has(each))) {
      const { messages } = await room.command("message.list", { after: pos - 1, limit: 1 });
      if (messages[0]?.pos === pos) loaded.set(pos, messages[0]);
    }
    draw();
  };
  const unpin = (message) =>
    room.moderates && h("button.icon-button", { type: "button", title: t("action.unpin"), "aria-label": t("action.unpin"), onclick: () => attempt(() => room.command("message.unpin", { target: message.pos })) }, icon("close"));
  let known = room.pins;
  const off = room.on("change", () => {
    if (known === room.pins) return;
    known = room.pins;
    attempt(load);
  });
  roving(list, "button");
  attempt(load);
  return { title: t("pins.title"), body: h("div.panel-body", null, list), destroy: off };
}
