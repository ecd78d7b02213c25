import { HlsWay } from "../galaxy-live/player.js";
import { avatar } from "../lib/avatar.js";
import { fill, h } from "../lib/dom.js";
import { clock, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { nameOf, richText } from "../lib/text.js";
import { attempt } from "../lib/toast.js";
import { tipRow } from "../views/message.js";
import { Controls } from "./controls.js";
import { mediaQuery } from "./media.js";
import { ReplayLog } from "./replay_log.js";
import { keepVolume, rememberVolume } from "./volume.js";

const LOOK_EVERY_MS = 500;
const STEP_SECONDS = 10;

/** A recording, and beside it what was said at the moment it was. */
export class Replay {
  #room;
  #recording;
  #way;
  #log;
  #timer;
  #asking = false;
  #shown = "";

  constructor(room, recording) {
    this.#room = room;
    this.#recording = recording;
    this.video = h("video", { testid: "video", playsinline: true, "aria-label": t("replay.label") });
    keepVolume(this.video);
    this.note = h("div.stage-note", { role: "status", testid: "stage-note" }, h("span.spinner", { "aria-hidden": "true" }), h("span", null, t("player.connecting")));
    this.time = h("span.latency", { testid: "replay-time" });
    this.seek = h("input.seek", { type: "range", min: 0, max: Math.max(1, recording.length_ms / 1000), step: 1, value: 0, testid: "seek", "aria-label": t("replay.seek"), oninput: () => this.to(Number(this.seek.value)) });
    this.element = h("div.player", { testid: "stage", tabindex: "0", role: "region", "aria-label": t("replay.label"), data: { state: "connecting", way: "recording" } }, this.video, this.note);
    this.controls = new Controls({ element: this.element, video: this.video, play: () => this.#play(), pause: () => this.video.pause(), unmute: () => this.#unmute(), before: [this.time], after: [] });
    this.controls.element.prepend(this.seek);
    this.element.append(this.controls.element);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.list = h("ol.replay-list", { testid: "replay-list", tabindex: "0", "aria-label": t("watch.comments") });
    this.chat = h("section.room.beside.replay", { "aria-label": t("replay.chat") }, h("div.room-main", null, h("header.room-head", null, h("h2.room-title", null, t("replay.chat"))), this.list, h("p.replay-note", null, t("replay.note"))));
    this.video.addEventListener("playing", () => {
      this.note.hidden = true;
      this.element.dataset.state = "playing";
    });
    this.video.addEventListener("seeked", () => this.#look());
    this.#log = new ReplayLog((page) => room.command("room.events", page), recording);
    this.#way = new HlsWay({ address: recording.hls, query: mediaQuery(room), start: 0 });
    this.#way.on("failed", () => this.#fail());
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#open();
  }

  destroy() {
    clearInterval(this.#timer);
    this.#way.close();
    this.controls.destroy();
  }

  /** Goes to this second of the recording. */
  to(second) {
    this.video.currentTime = Math.min(Math.max(0, second), this.#length);
    this.#look();
  }

  get #length() {
    return Number.isFinite(this.video.duration) ? this.video.duration : this.#recording.length_ms / 1000;
  }

  async #open() {
    try {
      await this.#way.open();
      this.#way.attach(this.video);
    } catch {
      return this.#fail();
    }
    return this.#play();
  }

  async #play() {
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.video.muted) return;
      this.video.muted = true; // the button for sound stands below
      await this.#play();
    }
  }

  #unmute() {
    this.video.muted = false;
    if (this.video.volume === 0) this.video.volume = 0.5;
    rememberVolume(this.video);
  }

  #fail() {
    this.element.dataset.state = "failed";
    fill(this.note, icon("alert"), h("span", null, t("replay.failed"))).hidden = false;
  }

  #key(event) {
    const step = { ArrowLeft: -STEP_SECONDS, ArrowRight: STEP_SECONDS }[event.key];
    if (!step || event.target.matches("input")) return;
    event.preventDefault();
    this.to(this.video.currentTime + step);
  }

  /** When (ms) what is shown now was: a recording leaves out where the stream was interrupted. */
  #now() {
    const at = this.video.currentTime;
    const run = this.#way.timeline.findLast(([start]) => start <= at + 0.01);
    return run ? run[1] + (at - run[0]) * 1000 : this.#recording.started_at + at * 1000;
  }

  async #look() {
    const { currentTime } = this.video;
    this.seek.max = String(this.#length);
    if (document.activeElement !== this.seek || Math.abs(this.seek.value - currentTime) > 1) this.seek.value = String(currentTime);
    this.seek.setAttribute("aria-valuetext", clock(currentTime * 1000));
    this.time.textContent = `${clock(Math.floor(currentTime) * 1000)} / ${clock(Math.floor(this.#length) * 1000)}`;
    if (this.#asking) return;
    this.#asking = true;
    const items = await attempt(() => this.#log.at(this.#now()));
    this.#asking = false;
    if (items) this.#draw(items);
  }

  #draw(items) {
    const shown = `${items.length} ${items[0]?.pos} ${items.at(-1)?.pos}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    fill(this.list, items.map((item) => (item.tip ? tipRow(item) : this.#comment(item))));
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
  }

  #comment({ by, text, mentions }) {
    return h("li", { testid: "replay-comment" }, avatar(by, "tiny"), h("span", { dir: "auto" }, h("b", null, h("bdi", null, nameOf(by))), " ", richText(text, { mentions, users: this.#room.users, me: this.#room.me.id })));
  }
}
