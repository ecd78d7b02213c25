import { h } from "../lib/dom.js";
import { studioPage } from "../lib/addresses.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { RoomView } from "../views/room.js";
import { Facts } from "./facts.js";
import { LiveStage } from "./live_stage.js";

/** A live room: the stream, what is known of it, and the comments beside. */
export class WatchView {
  #parts;

  constructor(shell, room) {
    const app = { client: shell.client, rooms: shell.rooms, me: shell.me, home: () => shell.home(), signIn: () => shell.signIn() };
    this.stage = new LiveStage(room);
    this.facts = new Facts(room);
    this.comments = new RoomView(app, room, { beside: true });
    this.#parts = [this.stage, this.facts, this.comments];
    const studio = room.role === "owner" && h("a.plain.small", { href: studioPage(room.id), testid: "open-studio" }, icon("camera"), h("span", null, t("studio.open")));
    this.element = h("div.watch", { testid: "watch" }, shell.topBar(studio), h("div.watch-body", null, h("main.watch-main", { id: "main", tabindex: "-1" }, this.stage.element, this.facts.element), h("aside.watch-side", null, this.comments.element)));
  }

  attached() {
    this.comments.attached();
  }

  destroy() {
    this.#parts.forEach((part) => part.destroy());
  }
}
