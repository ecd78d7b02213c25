import { studioPage } from "../lib/addresses.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { RoomView } from "../views/room.js";
import { Facts } from "./facts.js";
import { LiveStage } from "./live_stage.js";
import { recordingsView } from "./recordings.js";

/** Comments and recordings take turns where there is no room for both. */
export function sideTabs(body, names) {
  const tab = (name) => h("button.tab", { type: "button", testid: `tab-${name}`, data: { tab: name }, onclick: () => show(name) }, t(`watch.${name}`));
  const element = h("div.tabs.watch-tabs", { role: "group", "aria-label": t("watch.show") }, names.map(tab));
  function show(name) {
    body.dataset.tab = name;
    for (const each of element.children) each.setAttribute("aria-pressed", String(each.dataset.tab === name));
  }
  show(names[0]);
  return { element, show };
}

export const studioLink = (room) => room.role === "owner" && h("a.plain.small", { href: studioPage(room.id), testid: "open-studio" }, icon("camera"), t("watch.studio"));

/** A live room: the stream, what is known of it, the recordings; and the comments beside. */
export class WatchView {
  #room;
  #parts;
  #offs;
  #wasLive;

  constructor(shell, room) {
    this.#room = room;
    const app = { client: shell.client, rooms: shell.rooms, me: shell.me, home: () => shell.home(), signIn: () => shell.signIn() };
    this.stage = new LiveStage(room);
    this.facts = new Facts(room);
    this.recordings = recordingsView(room);
    this.comments = new RoomView(app, room, { beside: true });
    this.#parts = [this.stage, this.facts, this.comments];
    const body = h("div.watch-body");
    this.tabs = sideTabs(body, ["comments", "recordings"]);
    fill(body, h("main.watch-main", { id: "main", tabindex: "-1" }, this.stage.element, this.facts.element, this.tabs.element, this.recordings.element), h("aside.watch-side", null, this.comments.element));
    this.element = h("div.watch", { testid: "watch" }, shell.topBar(studioLink(room)), body);
    this.#wasLive = room.live !== null;
    this.#offs = [room.on("change", () => this.#ended())];
  }

  attached() {
    this.comments.attached();
    this.#load();
  }

  destroy() {
    this.#offs.forEach((off) => off());
    this.#parts.forEach((part) => part.destroy());
  }

  async #load() {
    if (this.#room.anonymous) return;
    try {
      await this.recordings.load();
    } catch (error) {
      if (error.code !== "unknown_command") this.#room.client.emit("error", error); // a server that keeps no recordings
    }
    this.tabs.element.hidden = this.recordings.element.hidden;
  }

  /** What has just ended is among the recordings in a moment. */
  #ended() {
    const live = this.#room.live !== null;
    if (this.#wasLive && !live) setTimeout(() => this.#load(), 3000);
    this.#wasLive = live;
  }
}
