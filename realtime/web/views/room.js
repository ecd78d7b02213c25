import { dateDialog } from "../dialogs/date.js";
import { inviteDialog } from "../dialogs/invites.js";
import { memberMenu } from "../dialogs/member_actions.js";
import { reportDialog } from "../dialogs/report.js";
import { settingsDialog } from "../dialogs/settings.js";
import { confirmDialog } from "../lib/dialog.js";
import { fill, h, throttle } from "../lib/dom.js";
import { number, t } from "../lib/i18n.js";
import { icon, roomIcon } from "../lib/icons.js";
import { menu } from "../lib/popover.js";
import { announce, attempt } from "../lib/toast.js";
import { nameOf } from "../lib/text.js";
import { roomPage, studioPage } from "../lib/addresses.js";
import { Composer } from "./composer.js";
import { membersPanel } from "./members.js";
import { pendingPanel } from "./pending.js";
import { pinsPanel } from "./pins.js";
import { searchPanel } from "./search.js";
import { Timeline } from "./timeline.js";

const READ_EVERY_MS = 1000;
const PANELS = { members: membersPanel, search: searchPanel, pins: pinsPanel, pending: pendingPanel };
const WIDE = matchMedia("(min-width: 1100px)");

/** One open room: its head, its timeline, its composer, and one panel at the side. */
export class RoomView {
  #offs;
  #panel = null;
  #marked = 0;
  #mark = throttle(READ_EVERY_MS, () => this.#markRead());

  /**
   * @param app `{client, rooms, me, home(), signIn?()}`
   * @param options `beside`: it stands beside the room's stream, narrow, under a heading of its own
   */
  constructor(app, room, { beside = false } = {}) {
    this.app = app;
    this.room = room;
    this.beside = beside;
    this.timeline = new Timeline(room, {
      reply: (message) => this.composer.reply(message),
      edit: (message) => this.composer.edit(message),
      report: (message) => reportDialog(room, message),
      seen: () => this.#mark(),
      mayWrite: () => this.composer.mayWrite(),
      focusComposer: () => this.composer.focus(),
      openMember: (user, anchor) => memberMenu(anchor, user, room),
    });
    this.composer = new Composer(room, {
      lastOwn: () => this.timeline.lastOwn(),
      focusTimeline: () => this.timeline.focus(),
      sent: () => this.timeline.toEnd(),
      join: () => attempt(() => room.command("member.join")),
      signIn: () => app.signIn(),
    });
    this.head = h("header.room-head");
    this.side = h("aside.side", { hidden: true });
    this.element = h(beside ? "section.room.beside" : "section.room", { "aria-label": beside ? t("watch.comments") : room.info.title }, h("div.room-main", null, this.head, this.timeline.element, this.composer.element), this.side);
    const focused = () => this.#mark();
    const narrowed = () => !this.#roomy && this.#panel && this.show(this.#panel.name, false); // it would cover the room
    WIDE.addEventListener("change", narrowed);
    this.#offs = [
      () => WIDE.removeEventListener("change", narrowed),
      room.on("change", () => this.#drawHead()),
      room.on("message", (message) => this.#announce(message)),
      () => document.removeEventListener("visibilitychange", focused),
      () => window.removeEventListener("focus", focused),
    ];
    document.addEventListener("visibilitychange", focused);
    window.addEventListener("focus", focused);
    room.attended = () => this.#looking();
    room.following = true;
    if (!room.window.atEnd) this.timeline.toEnd();
    this.#drawHead();
    if (this.#roomy && localStorage.getItem("galaxy-live.members") !== "hidden") this.show("members", false);
  }

  /** After the element is in the document, where sizes are known. */
  attached() {
    this.timeline.draw();
    if (!this.beside && matchMedia("(hover: hover)").matches) this.composer.focus();
  }

  destroy() {
    this.#markRead(); // what the throttle still holds back
    this.#panel?.destroy?.();
    this.room.attended = () => false;
    this.room.unreadFrom = null;
    this.#offs.forEach((off) => off());
    this.timeline.destroy();
    this.composer.destroy();
  }

  /** Shows a panel, or hides it when it is the one shown. */
  show(name, byUser = true) {
    const same = this.#panel?.name === name;
    this.#panel?.destroy?.();
    this.#panel = null;
    this.side.hidden = true;
    if (byUser && name === "members" && this.#roomy) localStorage.setItem("galaxy-live.members", same ? "hidden" : "shown");
    if (!same) {
      const close = () => this.show(name);
      const panel = PANELS[name](this.room, { close, jump: (pos) => this.#jumpFromPanel(pos) });
      this.#panel = { ...panel, name };
      fill(this.side, h("header", null, h("h2", null, panel.title), h("button.icon-button", { type: "button", testid: "panel-close", "aria-label": t("close"), title: t("close"), onclick: close }, icon("close"))), panel.body);
      this.side.hidden = false;
      this.side.setAttribute("aria-label", panel.title);
      if (byUser) (this.side.querySelector("[autofocus]") ?? this.side.querySelector("button")).focus();
    }
    this.#drawHead();
  }

  /** Whether a panel stands beside the room, and not over it. */
  get #roomy() {
    return WIDE.matches && !this.beside;
  }

  #jumpFromPanel(pos) {
    if (!this.#roomy) this.show(this.#panel.name);
    this.timeline.jump(pos);
  }

  #drawHead() {
    const { info, online, moderates, queue } = this.room;
    const held = queue?.size ?? 0;
    const key = JSON.stringify([info.title, info.counts, online, moderates, held, this.#panel?.name, this.room.role, info.closed, info.live]);
    if (this.head.dataset.key === key) return;
    this.head.dataset.key = key;
    const button = (name, mark, label, run, badge) =>
      h("button.icon-button", { type: "button", testid: `open-${name}`, title: label, "aria-label": label, "aria-pressed": name in PANELS ? String(this.#panel?.name === name) : null, onclick: run }, icon(mark), badge > 0 && h("span.count-badge", null, number(badge)));
    const focusKey = this.head.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
    fill(
      this.head,
      this.beside ? h("h2.room-title", null, t("watch.comments")) : this.#heading(info),
      h("div.room-tools", { role: "toolbar", "aria-label": t("room.tools") },
        ...(this.beside ? [] : this.#live(info)),
        !this.room.anonymous && button("search", "search", t("search.title"), () => this.show("search")),
        !this.beside && button("pins", "pin", t("pins.title"), () => this.show("pins")),
        !this.beside && button("date", "calendar", t("date.title"), () => dateDialog(this.room, (pos) => this.timeline.jump(pos))),
        moderates && button("pending", "shield", t("queue.title"), () => this.show("pending"), held),
        !this.beside && this.#mayInvite() && button("invite", "invite", t("invite.title"), () => inviteDialog(this.room)),
        !this.room.anonymous && button("members", "users", t("members.title"), () => this.show("members")),
        !this.room.anonymous && button("menu", "more", t("room.menu"), (event) => this.#menu(event.currentTarget))),
    );
    if (focusKey) this.head.querySelector(`[data-testid="${focusKey}"]`)?.focus();
  }

  #heading(info) {
    return [
      h("button.icon-button.back", { type: "button", testid: "back", "aria-label": t("room.back"), onclick: () => this.app.home() }, icon("back")),
      h("span.room-mark", null, icon(roomIcon(info))),
      h("div.room-title", null, h("h1", { dir: "auto", testid: "room-title" }, h("bdi", null, info.title)), h("p", { testid: "room-counts" }, this.#counts())),
    ];
  }

  /** From a live room's comments to its stream. */
  #live(info) {
    if (info.kind !== "live") return [];
    const link = (spec, href, mark, label, testid) => h(spec, { href, testid, title: label }, icon(mark), h("span", null, label));
    return [
      link(info.live ? "a.primary.small" : "a.plain.small", roomPage(info.id), "play", t("watch.watch"), "open-player"),
      this.room.role === "owner" && link("a.plain.small", studioPage(info.id), "camera", t("studio.open"), "open-studio"),
    ];
  }

  #counts() {
    const { info, online } = this.room;
    const members = info.counts?.members;
    return [info.live && h("b.live-badge", null, t("room.live")), members > 0 && t("room.members", { count: members }), online !== null && t("room.online", { count: online })]
      .filter(Boolean)
      .flatMap((part, index) => (index > 0 ? [" · ", part] : [part]));
  }

  #mayInvite() {
    const { info, rank, moderates } = this.room;
    return !info.closed && (moderates || (rank > 0 && info.kind === "group" && info.visibility !== "private"));
  }

  #menu(anchor) {
    const { room } = this;
    const items = [
      room.moderates && { label: t("settings.title"), icon: "settings", testid: "menu-settings", run: () => settingsDialog(room) },
      { label: t("date.title"), icon: "calendar", testid: "menu-date", run: () => dateDialog(room, (pos) => this.timeline.jump(pos)) },
      { label: t("pins.title"), icon: "pin", testid: "menu-pins", run: () => this.show("pins") },
      this.#mayInvite() && { label: t("invite.title"), icon: "invite", testid: "menu-invite", run: () => inviteDialog(room) },
      null,
      room.rank === 0 && room.info.kind === "group" && !room.settings.invite_only && { label: t("write.join"), icon: "users", testid: "menu-join", run: () => attempt(() => room.command("member.join")) },
      room.rank > 0
        ? { label: t("room.leave"), icon: "leave", testid: "menu-leave", danger: true, run: () => this.#leave() }
        : { label: t("room.stopListening"), icon: "leave", testid: "menu-unlisten", run: () => this.#gone() },
      room.role === "owner" && !room.info.closed && { label: t("room.close"), icon: "lock", testid: "menu-close", danger: true, run: () => this.#close() },
    ];
    menu(anchor, items.filter((item) => item !== false));
  }

  #leave() {
    confirmDialog({
      title: t("leave.title"), text: t("leave.text", { room: this.room.info.title }), submitLabel: t("room.leave"), testid: "confirm-leave",
      submit: async () => {
        await this.room.command("member.leave");
        this.#gone();
      },
    });
  }

  #gone() {
    this.app.rooms.forget(this.room.id);
    this.app.home();
  }

  #close() {
    confirmDialog({ title: t("closeRoom.title"), text: t("closeRoom.text"), submitLabel: t("room.close"), testid: "confirm-close", submit: () => this.room.command("room.close") });
  }

  #announce(message) {
    if (!message.deleted && message.by.id !== this.room.me.id && document.visibilityState === "visible") {
      announce(t("timeline.announce", { name: nameOf(message.by), text: message.text.slice(0, 300) }));
    }
  }

  #looking() {
    return document.visibilityState === "visible" && document.hasFocus() && this.element.isConnected;
  }

  /** What is shown to somebody who looks is read. */
  #markRead() {
    const { room } = this;
    const last = room.window.last;
    if (!this.#looking() || !room.following || !room.window.atEnd || last === null || room.rank === 0) return;
    if (last <= this.#marked || last <= (room.you.read_pos ?? 0)) return this.#forgetUnread();
    this.#marked = last;
    room.you.read_pos = last;
    room.client.notify("read.mark", { room: room.id, pos: last });
    return this.#forgetUnread();
  }

  #forgetUnread() {
    const listed = this.app.rooms.list.get(this.room.id);
    if (listed?.unread || listed?.mentions) this.app.rooms.read(this.room.id, this.room.you.read_pos);
  }
}
