/**
 * The web client's root: signs in, connects, and shows what the address asks for.
 *
 * Addresses: `#/`, `#/room/ID`, `#/invite/CODE`.
 *
 * Hooks for end-to-end tests, as `data-testid`:
 *   sign-in      signin-name, signin-submit, signin-token, signin-token-submit
 *   frame        connection-state (data-state), sidebar, home, browse, create, me, sign-out, theme-*, language-*, toast
 *   rooms        room-item (data-room, data-unread, data-mentions), public-rooms, public-room (data-room), home-create
 *   create       create-room (dialog), create-title, create-group, create-live, create-private, create-public, create-room-submit
 *   room         room-title, room-counts, back, open-search, open-pins, open-date, open-pending, open-invite, open-members,
 *                open-menu, menu-settings, menu-leave, menu-close, panel-close
 *   timeline     timeline, message (data-pos, data-author), message-text, edited, tombstone, reaction (data-emoji), quote,
 *                unread-divider, jump-latest, jump-unread, pending-message (data-state), pending-retry, pending-cancel
 *   a message    msg-react, msg-reply, msg-edit, msg-more, msg-copy, msg-pin, msg-unpin, msg-report, msg-delete, emoji-picker,
 *                confirm-delete-submit
 *   composer     composer-input, composer-send, composer-emoji, composer-context, suggestions, typing, write-bar, member-join
 *   invites      invite-dialog, invite-uses, invite-seconds, invite-create, invite-link, invite-copy, invite-list,
 *                invite-item (data-code), invite-revoke, accept-invite (dialog), accept-invite-submit
 *   members      member-panel, member-filter, member-item (data-user, data-online), mute, unmute, kick, ban, unban, make-*,
 *                mute-dialog-submit, mute-seconds, kick-dialog-submit, ban-dialog-submit, ban-seconds, ban-purge, confirm-role-submit
 *   panels       search-panel, search-input, search-results, found (data-pos), pin-list, pending-list, pending-item,
 *                pending-approve, pending-deny
 *   settings     settings (dialog), setting-NAME, settings-submit, ban-list, lift-sanction
 *   removal      removed-notice
 */
import { GalaxyClient } from "./galaxy-live.js";
import { acceptInviteDialog } from "./dialogs/accept_invite.js";
import { browseDialog } from "./dialogs/browse.js";
import { createRoomDialog } from "./dialogs/create_room.js";
import { fill, h } from "./lib/dom.js";
import { errorText, fullTime, t } from "./lib/i18n.js";
import { icon } from "./lib/icons.js";
import { start } from "./lib/start.js";
import { toast } from "./lib/toast.js";
import { Rooms } from "./model/rooms.js";
import { current, signOut, tokenProvider } from "./session.js";
import { connectionBar } from "./views/connection.js";
import { homeView } from "./views/home.js";
import { RoomView } from "./views/room.js";
import { Sidebar } from "./views/sidebar.js";
import { signInView } from "./views/signin.js";
import { showUnread } from "./views/title.js";

const root = document.getElementById("root");
/** What became of a waiting message, where that is worth a word: an approved one just appears. */
const OUTCOMES = new Set(["denied", "refused"]);
const REMOVED = new Set(["kicked", "banned", "closed", "revoked"]);
const SILENT = new Set(["disconnected", "stopped"]);

class App {
  #view = null;
  #roomId = null;
  #turn = 0;

  constructor(session) {
    this.me = session.user;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.client = new GalaxyClient({ url: `${scheme}//${location.host}/v1/socket`, token: tokenProvider(session), user: session.user.id });
    this.rooms = new Rooms(this.client, this.me);
    this.sidebar = new Sidebar(this);
    this.main = h("main.main", { id: "main", tabindex: "-1" });
    const bar = connectionBar(this.client);
    this.frame = h("div.frame", null, this.sidebar.element, h("div.stage", null, bar.element, this.main));
    fill(root, this.frame);
    this.client.on("error", (error) => !SILENT.has(error.code) && toast(errorText(error), { kind: "error" }));
    this.client.on("state", ({ state, code }) => state === "closed" && code === 3500 && this.signOut(t("closed.token")));
    this.client.on("pending.resolved", ({ outcome }) => OUTCOMES.has(outcome) && toast(t(`outcome.${outcome}`), { kind: "error", stay: true }));
    this.rooms.on("change", () => showUnread(this.rooms));
    this.rooms.on("removed", (event) => this.#removed(event));
    this.destroyBar = bar.destroy;
    this.onhash = () => this.route();
    window.addEventListener("hashchange", this.onhash);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.client.nudge());
    this.client.start();
    this.route();
  }

  current() {
    return this.#roomId;
  }

  open(id) {
    location.hash = `#/room/${encodeURIComponent(id)}`;
  }

  home() {
    location.hash = "#/";
  }

  create() {
    createRoomDialog(this.client, (id) => this.open(id));
  }

  browse() {
    browseDialog(this.client, (id) => this.open(id));
  }

  signOut(note) {
    window.removeEventListener("hashchange", this.onhash);
    this.client.stop();
    this.destroyBar();
    this.sidebar.destroy();
    this.#view?.destroy();
    signOut();
    document.title = "Galaxy";
    askWho(note);
  }

  route() {
    const [, kind, value] = location.hash.match(/^#\/(room|invite)\/(.+)$/) ?? [];
    if (kind === "invite") this.#invite(decodeURIComponent(value));
    else if (kind === "room") this.#openRoom(decodeURIComponent(value));
    else this.#show(null, homeView(this));
  }

  #invite(code) {
    this.#show(null, homeView(this));
    acceptInviteDialog(this.client, code, (id) => this.open(id), () => location.hash.startsWith("#/invite/") && this.home());
  }

  async #openRoom(id) {
    const turn = ++this.#turn;
    this.#show(id, { element: h("div.loading", { role: "status" }, t("loading")), destroy() {} });
    try {
      const room = await this.rooms.open(id);
      if (turn === this.#turn && this.#roomId === id) this.#show(id, new RoomView(this, room));
    } catch (error) {
      if (turn !== this.#turn || this.#roomId !== id) return;
      if (error.code === "disconnected") await this.client.connected().then(() => this.#openRoom(id), () => {}); // stopped: nothing to open
      else this.#show(id, this.#notice(errorText(error)));
    }
  }

  #show(id, view) {
    this.#view?.destroy();
    this.#view = view;
    this.#roomId = id;
    this.frame.classList.toggle("in-room", id !== null);
    fill(this.main, view.element);
    view.attached?.();
    this.sidebar.draw();
    showUnread(this.rooms);
  }

  #removed({ room, code, reason, until, title }) {
    const text = t(REMOVED.has(code) ? `removed.${code}` : "removed.revoked", { room: title });
    const more = [reason && t("removed.reason", { reason }), until && t("removed.until", { time: fullTime(until) })].filter(Boolean);
    if (this.#roomId === room) this.#show(room, this.#notice(text, more));
    else toast([text, ...more].join(" "), { kind: "error", stay: true });
  }

  #notice(text, more = []) {
    const element = h("div.removed", { role: "alert", testid: "removed-notice" }, icon("alert"), h("h1", null, text), more.map((line) => h("p", null, line)), h("button.primary", { type: "button", onclick: () => this.home() }, t("room.toRooms")));
    return { element, destroy() {} };
  }
}

function askWho(note) {
  fill(root, signInView((session) => new App(session), note));
  document.getElementById("signin-name")?.focus();
}

start();
const session = current();
if (session) new App(session);
else askWho();
