import { dialog } from "../lib/dialog.js";
import { fill, h, roving } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon, roomIcon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";

/** A list of public rooms with paging, for the dialog and for the start page. */
export function publicRooms(client, choose) {
  const list = h("ul.room-cards", { role: "list", testid: "public-rooms" });
  const more = h("button.plain", { type: "button", hidden: true }, t("browse.more"));
  const load = async (kind, cursor) => {
    const reply = await attempt(() => client.request("room.list", { kind, sort: "popular", limit: 30, cursor }));
    if (!reply) return;
    const cards = reply.rooms.filter(({ visibility }) => visibility !== "private").map((room) => card(room, choose));
    if (cursor) list.append(...cards);
    else fill(list, cards.length > 0 ? cards : h("p.empty", null, t("browse.none")));
    more.hidden = !reply.cursor;
    more.onclick = () => load(kind, reply.cursor);
  };
  roving(list, "button");
  return { list, more, load };
}

function card({ id, kind, title, counts, live }, choose) {
  const facts = [live && t("room.live"), counts?.members > 0 && t("room.members", { count: counts.members }), counts?.online > 0 && t("room.online", { count: counts.online })];
  return h("li", null, h("button.room-card", { type: "button", testid: "public-room", data: { room: id }, onclick: () => choose(id) },
    h("span.room-mark", null, icon(roomIcon({ kind }))),
    h("span.room-card-text", null, h("b", { dir: "auto" }, h("bdi", null, title)), h("small", null, facts.filter(Boolean).join(" · ") || t(`kind.${kind}`)))));
}

export function browseDialog(client, choose) {
  const rooms = publicRooms(client, (id) => {
    opened.close();
    choose(id);
  });
  const tab = (kind, label) => h("button.tab", { type: "button", "aria-pressed": String(kind === undefined), onclick: (event) => {
    for (const other of tabs.children) other.setAttribute("aria-pressed", String(other === event.currentTarget));
    rooms.load(kind);
  } }, label);
  const tabs = h("div.tabs", null, tab(undefined, t("browse.all")), tab("group", t("sidebar.groups")), tab("live", t("sidebar.live")));
  const opened = dialog({ title: t("browse.title"), body: [tabs, rooms.list, rooms.more], testid: "browse-dialog" });
  rooms.load();
}
