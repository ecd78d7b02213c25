import { h, perFrame } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";
import { actionsFor, messageMenu, shortcut, toolbar } from "./message_actions.js";
import { rowsOf } from "./rows.js";

const AT_BOTTOM_PX = 60;
const LOAD_AHEAD_PX = 900;
const LONG_PRESS_MS = 450;
/** A finger that rests still moves this much. */
const FINGER_PX = 10;

/**
 * The messages of one room. Only the loaded window is in the document; rows are kept by key, so that drawing touches
 * what changed; what the reader looks at stays where it is when rows come or go above it.
 */
export class Timeline {
  #room;
  #host;
  #rows = new Map();
  #filling = false;
  #dividerSeen = false;
  #draw = perFrame(() => this.draw());
  #offs;
  #resize;

  /** @param host `{reply(message), edit(message), seen(pos), openMember(user, anchor)}` */
  constructor(room, host) {
    this.#room = room;
    this.#host = host;
    this.list = h("ol.rows", { testid: "timeline", "aria-label": t("timeline.label") });
    this.scroller = h("div.scroller", { tabindex: "-1" }, this.list);
    this.pill = h("button.pill", { type: "button", testid: "jump-latest", hidden: true, onclick: () => this.toEnd() });
    this.unreadBar = h("button.unread-bar", { type: "button", testid: "jump-unread", hidden: true, onclick: () => this.jump(room.unreadFrom) });
    this.element = h("div.timeline", null, this.unreadBar, this.scroller, this.pill);
    this.toolbar = h("div.toolbar", { role: "toolbar", "aria-label": t("message.actions") });
    this.#listen();
    this.#offs = [room.on("change", this.#draw), room.on("message", () => !room.following && this.#draw())];
    this.#resize = new ResizeObserver(() => room.following && this.#toBottom());
    this.#resize.observe(this.scroller);
    this.#resize.observe(this.list);
  }

  destroy() {
    this.#offs.forEach((off) => off());
    this.#resize.disconnect();
  }

  /** Shows the end, where the latest messages are. */
  async toEnd() {
    if (!this.#room.window.atEnd) await attempt(() => this.#room.window.latest());
    this.#room.following = true;
    this.draw();
  }

  /** Shows the message at `pos`, or the nearest one, and points it out. */
  async jump(pos) {
    const room = this.#room;
    room.following = false;
    if (!room.window.find(pos)) await attempt(() => room.window.around(pos));
    this.draw();
    const nearest = room.window.items.find((message) => message.pos >= pos) ?? room.window.items.at(-1);
    const row = nearest && this.#rows.get(`message-${nearest.pos}`)?.element;
    if (!row) return;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    row.classList.remove("found");
    requestAnimationFrame(() => row.classList.add("found"));
  }

  draw() {
    const room = this.#room;
    if (!room.loaded) return;
    const anchor = room.following ? null : this.#anchor();
    const focused = document.activeElement?.closest?.(".rows > li")?.dataset.key;
    this.#reconcile(rowsOf(room, { jump: (pos) => this.jump(pos), react: (message, emoji) => this.react(message, emoji) }));
    if (focused && !this.list.contains(document.activeElement)) this.#rows.get(focused)?.element.focus({ preventScroll: true });
    if (room.following) this.#toBottom();
    else if (anchor) this.#keep(anchor);
    this.#buttons();
    this.#fill();
    this.#seen();
  }

  async react(message, emoji) {
    const room = this.#room;
    const mine = message.reactions?.some((reaction) => reaction.emoji === emoji && reaction.mine);
    const done = await attempt(() => room.command(mine ? "message.unreact" : "message.react", { target: message.pos, emoji }));
    // Live rooms tell counts only, once a second, and not whose they are.
    if (done && room.info.kind === "live") room.reacted(message.pos, emoji, !mine);
  }

  /** The latest message of the viewer's own that can be edited. */
  lastOwn() {
    return this.#room.window.items.findLast((message) => message.by?.id === this.#room.me.id && !message.deleted);
  }

  #reconcile(rows) {
    const wanted = new Set(rows.map(({ key }) => key));
    for (const [key, { element }] of this.#rows) {
      if (wanted.has(key)) continue;
      element.remove();
      this.#rows.delete(key);
    }
    let cursor = this.list.firstChild;
    for (const { key, on, make } of rows) {
      const known = this.#rows.get(key);
      if (known && known.on.every((value, index) => value === on[index])) {
        if (known.element === cursor) cursor = cursor.nextSibling;
        else this.list.insertBefore(known.element, cursor);
        continue;
      }
      const element = make();
      element.dataset.key = key;
      if (known) {
        if (known.element === cursor) cursor = cursor.nextSibling;
        known.element.replaceWith(element);
      } else {
        this.list.insertBefore(element, cursor);
      }
      this.#rows.set(key, { element, on });
    }
  }

  #anchor() {
    const top = this.scroller.getBoundingClientRect().top;
    for (const row of this.list.children) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top && row.dataset.pos) return { key: row.dataset.key, offset: box.top - top };
    }
    return null;
  }

  #keep({ key, offset }) {
    const element = this.#rows.get(key)?.element;
    if (!element) return;
    const moved = element.getBoundingClientRect().top - this.scroller.getBoundingClientRect().top - offset;
    if (Math.abs(moved) >= 1) this.scroller.scrollTop += moved;
  }

  #toBottom() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  get #below() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
  }

  #buttons() {
    const { window, following, unreadFrom } = this.#room;
    this.pill.hidden = following;
    const label = window.newBelow > 0 ? t("timeline.newBelow", { count: window.newBelow }) : t("timeline.toLatest");
    if (this.pill.textContent !== label) this.pill.replaceChildren(icon("down"), label);
    const divider = this.#rows.get("unread")?.element;
    const above = divider ? divider.getBoundingClientRect().bottom < this.scroller.getBoundingClientRect().top : true;
    this.#dividerSeen = unreadFrom !== null && (this.#dividerSeen || !above);
    this.unreadBar.hidden = unreadFrom === null || this.#dividerSeen;
    if (!this.unreadBar.hidden) this.unreadBar.replaceChildren(icon("up"), t("unread.jump"));
  }

  /** Loads the next page before the reader reaches the end of what is loaded. */
  async #fill() {
    const { window } = this.#room;
    if (this.#filling || window.first === null) return;
    const older = !window.atStart && this.scroller.scrollTop < LOAD_AHEAD_PX;
    const newer = !older && !window.atEnd && this.#below < LOAD_AHEAD_PX;
    if (!older && !newer) return;
    this.#filling = true;
    const loaded = await attempt(() => (older ? window.older() : window.newer()));
    this.#filling = false;
    if (loaded !== undefined) this.#draw();
  }

  #seen() {
    const { window, following } = this.#room;
    if (following && window.atEnd && window.last !== null) this.#host.seen(window.last);
  }

  #scrolled() {
    const { window } = this.#room;
    const following = window.atEnd && this.#below < AT_BOTTOM_PX;
    if (following !== this.#room.following) {
      this.#room.following = following;
      if (following) window.newBelow = 0;
    }
    this.#buttons();
    this.#fill();
    this.#seen();
  }

  #messageAt(target) {
    const row = target.closest?.("li.message[data-pos]");
    return row ? { row, message: this.#room.window.find(Number(row.dataset.pos)) } : {};
  }

  #listen() {
    const context = () => ({ room: this.#room, host: this.#host, timeline: this });
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    const hover = ({ target }) => {
      const { row, message } = this.#messageAt(target);
      if (message && this.toolbar.parentNode !== row) toolbar(this.toolbar, row, message, context());
    };
    this.list.addEventListener("pointerover", (event) => event.pointerType !== "touch" && hover(event));
    this.list.addEventListener("focusin", hover);
    this.list.addEventListener("keydown", (event) => this.#key(event, context()));
    let press = null;
    let pressedAt = null;
    this.list.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") return;
      const { message } = this.#messageAt(event.target);
      const point = { x: event.clientX, y: event.clientY };
      pressedAt = point;
      if (message) press = setTimeout(() => messageMenu(point, actionsFor(message, context())), LONG_PRESS_MS);
    });
    for (const name of ["pointerup", "pointercancel"]) this.list.addEventListener(name, () => clearTimeout(press));
    this.list.addEventListener("pointermove", ({ clientX, clientY }) => {
      if (pressedAt && Math.hypot(clientX - pressedAt.x, clientY - pressedAt.y) > FINGER_PX) clearTimeout(press);
    });
    this.list.addEventListener("contextmenu", (event) => event.pointerType === "touch" && event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const { message } = this.#messageAt(event.target);
      const face = event.target.closest(".author, .gutter .avatar");
      if (message && face) this.#host.openMember(message.by, face);
    });
  }

  #key(event, context) {
    const { row, message } = this.#messageAt(event.target);
    if (!row || event.target !== row || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...this.list.querySelectorAll("li.message[data-pos]")];
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step) rows[rows.indexOf(row) + step]?.focus();
    else if (event.key === "Escape") this.#host.focusComposer();
    else if (!message || !shortcut(event.key, row, actionsFor(message, context))) return;
    event.preventDefault();
  }

  /** Puts the focus on the last message, from where the arrow keys go on. */
  focus() {
    this.list.querySelector("li.message[data-pos]:last-of-type, li.message[data-pos]")?.focus();
  }
}

