import { avatar } from "../lib/avatar.js";
import { fill, h, perFrame } from "../lib/dom.js";
import { shortTime, t } from "../lib/i18n.js";
import { nameOf } from "../lib/text.js";
import { attempt } from "../lib/toast.js";

/** Messages that wait for a moderator's word, or for their time. */
export function pendingPanel(room) {
  const list = h("ul.found-list", { role: "list", testid: "pending-list" });
  const draw = perFrame(() => {
    const items = [...(room.queue?.values() ?? [])];
    fill(list, items.length > 0 ? items.map((item) => row(room, item)) : h("p.empty", null, t("queue.none")));
  });
  const off = room.on("change", draw);
  draw();
  return { title: t("queue.title"), body: h("div.panel-body", null, list), destroy: off };
}

function row(room, item) {
  const decide = (type) => async () => {
    if (await attempt(() => room.command(type, { pending: item.pending }))) {
      room.queue.delete(item.pending);
      room.emit("change");
    }
  };
  return h("li.hit.waiting-item", { testid: "pending-item" }, avatar(item.by),
    h("div.hit-body", null,
      h("span.byline", null, h("b", { dir: "auto" }, h("bdi", null, nameOf(item.by))), h("time", null, item.release_at ? t("queue.releases", { time: shortTime(item.release_at) }) : shortTime(item.at))),
      h("span.hit-text", { dir: "auto" }, item.message.text),
      h("div.row", null,
        h("button.primary.small", { type: "button", testid: "pending-approve", onclick: decide("message.approve") }, t("queue.approve")),
        h("button.plain.small", { type: "button", testid: "pending-deny", onclick: decide("message.deny") }, t("queue.deny")))));
}
