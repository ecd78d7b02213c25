import { fill, h, roving } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";
import { foundMessage } from "./found.js";

/** The room's pinned messages, the latest first. */
export function pinsPanel(room, { jump }) {
  const list = h("ul.found-list", { role: "list", testid: "pin-list" });
  const load = async () => {
    const reply = await attempt(() => room.command("message.list", { pinned: true, limit: 200 }));
    if (!reply) return;
    const pins = reply.messages.filter((message) => message.pinned && !message.deleted).reverse();
    fill(list, pins.length > 0 ? pins.map((message) => foundMessage(message, "", jump, unpin(message))) : h("p.empty", null, t("pins.none")));
  };
  const unpin = (message) =>
    room.moderates && h("button.icon-button", { type: "button", title: t("action.unpin"), "aria-label": t("action.unpin"), onclick: () => attempt(() => room.command("message.unpin", { target: message.pos })) }, icon("close"));
  const off = room.client.on("event", ({ type, room: id }) => id === room.id && (type === "message.pinned" || type === "message.unpinned") && load());
  roving(list, "button");
  load();
  return { title: t("pins.title"), body: h("div.panel-body", null, list), destroy: off };
}
