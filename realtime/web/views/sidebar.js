import { avatar } from "../lib/avatar.js";
import { fill, h, perFrame, roving } from "../lib/dom.js";
import { number, t } from "../lib/i18n.js";
import { icon, roomIcon } from "../lib/icons.js";
import { roomPage } from "../lib/addresses.js";
import { menu } from "../lib/popover.js";
import { nameOf } from "../lib/text.js";
import { languageItems, themeItems } from "./preferences.js";

/** The list of rooms, and the user's own corner. */
export class Sidebar {
  #app;
  #draw = perFrame(() => this.#drawRooms());
  #offs;

  /** @param app `{client, rooms, me, current(), open(id), home(), create(), browse(), signOut()}` */
  constructor(app) {
    this.#app = app;
    this.lists = h("div.room-lists");
    this.dot = h("span.state-dot");
    const tool = (name, mark, run) => h("button.icon-button", { type: "button", testid: name, title: t(`sidebar.${name}`), "aria-label": t(`sidebar.${name}`), onclick: run }, icon(mark));
    this.element = h("nav.sidebar", { "aria-label": t("sidebar.label"), testid: "sidebar" },
      h("header", null, h("button.brand", { type: "button", onclick: () => app.home(), "aria-label": t("sidebar.home"), testid: "home" }, h("span.brand-mark", { "aria-hidden": "true" }, h("i"), h("i")), "Galaxy"), tool("browse", "compass", () => app.browse()), tool("create", "plus", () => app.create())),
      this.lists,
      h("footer", null, h("button.me", { type: "button", testid: "me", "aria-haspopup": "menu", onclick: (event) => this.#menu(event.currentTarget) }, h("span.presence", null, avatar(app.me), this.dot), h("span.me-text", null, h("b", { dir: "auto" }, h("bdi", null, nameOf(app.me))), this.state = h("small")), icon("settings"))));
    roving(this.lists, ".room-item");
    this.#offs = [app.rooms.on("change", this.#draw), app.client.on("state", this.#draw)];
    this.#drawRooms();
  }

  destroy() {
    this.#offs.forEach((off) => off());
  }

  draw() {
    this.#drawRooms();
  }

  #drawRooms() {
    const { rooms, client } = this.#app;
    const focused = document.activeElement?.closest?.(".room-item")?.dataset.room;
    const all = [...rooms.list.values()].sort((a, b) => a.title.localeCompare(b.title));
    fill(this.lists, this.#section("groups", all.filter(({ kind }) => kind !== "live")), this.#section("live", all.filter(({ kind }) => kind === "live")));
    if (focused) this.lists.querySelector(`[data-room="${CSS.escape(focused)}"]`)?.focus();
    this.dot.dataset.state = client.state;
    this.state.textContent = t(`state.${client.state}`);
  }

  #section(name, rooms) {
    return h("section", null, h("h2", null, t(`sidebar.${name}`)), rooms.length > 0 ? h("ul", { role: "list", testid: `rooms-${name}` }, rooms.map((room) => this.#item(room))) : h("p.empty", null, t(`sidebar.no.${name}`)));
  }

  #item({ id, kind, title, visibility, unread, mentions, mine }) {
    const here = this.#app.current() === id;
    const label = [title, unread > 0 && t("sidebar.unread", { count: unread }), mentions > 0 && t("sidebar.mentions", { count: mentions })].filter(Boolean).join(", ");
    const item = h("a.room-item", { href: `#/room/${encodeURIComponent(id)}`, testid: "room-item", data: { room: id, unread: String(unread), mentions: String(mentions) }, "aria-current": here ? "page" : null, "aria-label": label },
      h("span.room-mark", null, icon(roomIcon({ kind, visibility }))),
      h("span.room-name", { dir: "auto" }, h("bdi", null, title)),
      mentions > 0 ? h("span.count-badge.mention", { "aria-hidden": "true" }, `@${number(mentions)}`) : unread > 0 && h("span.count-badge", { "aria-hidden": "true" }, unread > 99 ? "99+" : number(unread)));
    item.classList.toggle("has-unread", unread > 0);
    item.classList.toggle("visiting", !mine);
    const watch = kind === "live" && h("a.icon-button.room-watch", { href: roomPage(id), testid: "room-watch", title: t("watch.watch"), "aria-label": `${t("watch.watch")}: ${title}` }, icon("play"));
    return h("li", null, item, watch);
  }

  #menu(anchor) {
    menu(anchor, [...themeItems(), null, ...languageItems(), null, { label: t("signout"), icon: "logout", testid: "sign-out", run: () => this.#app.signOut() }]);
  }
}
