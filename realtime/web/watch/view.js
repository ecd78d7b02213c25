import { studioPage } from "../lib/addresses.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { RoomView } from "../views/room.js";
import { Facts } from "./facts.js";
import { LiveStage } from "./live_stage.js";
import { RecordingList } from "./recordings.js";
import { Replay } from "./replay.js";

/** The recording that the address names, or nothing. */
const asked = () => location.hash.match(/^#recording\/([\w-]+)$/)?.[1] ?? "";

/** A live room: the stream, or with `#recording/ID` a recording; what is known of it, and the comments beside. */
export class WatchView {
  #room;
  #app;
  #shown = [];
  #route = () => this.#show();

  constructor(shell, room) {
    this.#room = room;
    this.#app = { client: shell.client, rooms: shell.rooms, me: shell.me, home: () => shell.home(), signIn: () => shell.signIn() };
    this.recordings = new RecordingList(room);
    const studio = room.role === "owner" && h("a.plain.small", { href: studioPage(room.id), testid: "open-studio" }, icon("camera"), h("span", null, t("studio.open")));
    this.main = h("main.watch-main", { id: "main", tabindex: "-1" });
    this.side = h("aside.watch-side");
    this.element = h("div.watch", { testid: "watch" }, shell.topBar(studio), h("div.watch-body", null, this.main, this.side));
    window.addEventListener("hashchange", this.#route);
    this.#stream();
  }

  async attached() {
    this.#shown.forEach((part) => part.attached?.());
    await this.recordings.load();
    const id = asked();
    if (!id) return;
    await this.recordings.find(id);
    if (asked() === id) this.#show();
  }

  destroy() {
    window.removeEventListener("hashchange", this.#route);
    this.recordings.destroy();
    this.#shown.forEach((part) => part.destroy());
  }

  #show() {
    const id = asked();
    const recording = this.recordings.rows.find((row) => row.id === id);
    this.#shown.forEach((part) => part.destroy());
    if (recording) this.#replay(recording);
    else this.#stream();
    this.#shown.forEach((part) => part.attached?.());
  }

  #stream() {
    const [stage, facts, comments] = (this.#shown = [new LiveStage(this.#room), new Facts(this.#room), new RoomView(this.#app, this.#room, { beside: true })]);
    fill(this.main, stage.element, facts.element, this.recordings.element);
    fill(this.side, comments.element);
  }

  #replay(recording) {
    const replay = new Replay(this.#room, recording);
    const back = h("a.plain.small", { href: "#", testid: "replay-back" });
    const draw = () => fill(back, icon("back"), this.#room.live && h("b.live-badge", null, t("room.live")), h("span", null, t(this.#room.live ? "replay.toLive" : "replay.back")));
    this.#shown = [replay, { destroy: this.#room.on("change", draw) }];
    draw();
    const title = h("section.facts", { "aria-label": t("watch.facts") }, h("div.facts-text", null, h("h1", { dir: "auto", testid: "replay-title" }, h("bdi", null, recording.title))), back);
    fill(this.main, replay.element, title, this.recordings.element);
    fill(this.side, replay.chat);
    replay.element.focus();
  }
}
