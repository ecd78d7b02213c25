/** What the pages of one live room share: who looks at it, the connection, and the bar at the top. */
import { GalaxyClient } from "./galaxy-live.js";
import { roomOfAddress } from "./lib/addresses.js";
import { avatar } from "./lib/avatar.js";
import { fill, h } from "./lib/dom.js";
import { errorText, t } from "./lib/i18n.js";
import { icon } from "./lib/icons.js";
import { menu } from "./lib/popover.js";
import { start } from "./lib/start.js";
import { nameOf } from "./lib/text.js";
import { toast } from "./lib/toast.js";
import { Rooms } from "./model/rooms.js";
import { current, signOut, tokenProvider } from "./session.js";
import { connectionBar } from "./views/connection.js";
import { languageItems, themeItems } from "./views/preferences.js";
import { signInView } from "./views/signin.js";

const root = document.getElementById("root");
const SILENT = new Set(["disconnected", "stopped"]);
const BAD_TOKEN = 3500;
const NOBODY = { id: "", name: "" };


export class Shell {
  #view = null;
  #show;
  #anonymous;

  /**
   * @param options `show(shell, room)` makes the page's view `{element, attached?, destroy}`, or shows a
   *   notice and returns null; `anonymous`: whether the
   *   page is of use to somebody without a name, where the server lets such people in
   */
  constructor({ show, anonymous = false }) {
    this.#show = show;
    this.#anonymous = anonymous;
    start();
    const session = current();
    if (session) this.#use(session);
    else if (anonymous) this.#use(null);
    else this.signIn();
  }

  home() {
    location.assign("/");
  }

  signIn(note) {
    this.#end();
    fill(root, signInView((session) => this.#use(session), note));
    document.getElementById("signin-name")?.focus();
  }

  #use(session) {
    this.session = session;
    this.me = session?.user ?? NOBODY;
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const url = `${scheme}//${location.host}/v1/socket`;
    this.client = new GalaxyClient(session ? { url, token: tokenProvider(session), user: this.me.id } : { url, anonymous: true, storage: null });
    this.rooms = new Rooms(this.client, this.me);
    this.bar = connectionBar(this.client);
    this.client.on("error", (error) => !SILENT.has(error.code) && toast(errorText(error), { kind: "error" }));
    this.client.on("state", ({ state, code }) => state === "closed" && code === BAD_TOKEN && this.#unknown());
    this.rooms.on("removed", ({ code, reason, title }) => this.notice(t(`removed.${code === "banned" || code === "kicked" || code === "closed" ? code : "revoked"}`, { room: title }), reason && t("removed.reason", { reason })));
    this.client.start();
    this.#open();
  }

  /** The server does not know who this is: an old session, or it lets nobody in without a name. */
  #unknown() {
    const note = this.session ? t("closed.token") : undefined;
    if (this.session) signOut();
    this.signIn(note);
  }

  async #open() {
    const id = roomOfAddress();
    const { client } = this;
    this.notice(t("loading"));
    try {
      const room = await this.rooms.open(id);
      if (client !== this.client) return;
      document.title = `${room.info.title} · Galaxy`;
      const view = this.#show(this, room);
      if (view) this.#put(view);
    } catch (error) {
      if (client !== this.client || error.code === "stopped") return;
      if (error.code === "disconnected") await client.connected().then(() => this.#open(), () => {}); // stopped: nothing to open
      else if (!this.session && (error.code === "not_found" || error.code === "forbidden")) this.signIn(t("watch.signInToSee"));
      else if (error.code) this.notice(errorText(error));
      else throw error;
    }
  }

  /** A sentence in place of the page. */
  notice(...lines) {
    const [first, ...more] = lines.filter(Boolean);
    const element = h("main.removed", { id: "main", tabindex: "-1", role: "status", testid: "notice" }, h("h1", null, first), more.map((line) => h("p", null, line)), h("a.primary", { href: "/" }, t("room.toRooms")));
    this.#put({ element, destroy() {} });
  }

  /** The bar: home, what the page adds, and the user's own menu. */
  topBar(...tools) {
    const known = this.session !== null;
    const mine = () => menu(me, [...themeItems(), null, ...languageItems(), null, known ? { label: t("signout"), icon: "logout", testid: "sign-out", run: () => this.#leave() } : { label: t("signin.submit"), icon: "users", testid: "sign-in", run: () => this.signIn() }]);
    const me = h("button.me-button", { type: "button", testid: "me", title: known ? nameOf(this.me) : t("watch.settings"), "aria-label": known ? nameOf(this.me) : t("watch.settings"), "aria-haspopup": "menu", onclick: mine }, known ? avatar(this.me) : icon("settings"));
    return h("header.top-bar", null,
      h("a.brand", { href: "/", "aria-label": t("sidebar.home"), testid: "home" }, h("span.brand-mark", { "aria-hidden": "true" }, h("i"), h("i")), h("span.brand-name", null, "Galaxy")),
      h("div.top-tools", null, tools, !known && h("button.primary.small", { type: "button", testid: "open-sign-in", onclick: () => this.signIn() }, t("watch.signIn")), me));
  }

  #leave() {
    this.#end();
    signOut();
    location.assign("/");
  }

  #put(view) {
    this.#view?.destroy();
    this.#view = view;
    fill(root, h("div.page", null, this.bar.element, view.element));
    view.attached?.();
  }

  #end() {
    this.#view?.destroy();
    this.#view = null;
    this.client?.stop();
    this.client = null;
    this.bar?.destroy();
  }
}
