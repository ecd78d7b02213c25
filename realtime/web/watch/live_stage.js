import { Player } from "../galaxy-live/player.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { menu } from "../lib/popover.js";
import { Controls } from "./controls.js";
import { addressesOf, mediaQuery, posterOf } from "./media.js";
import { Over } from "./over.js";
import { keepVolume, rememberVolume } from "./volume.js";

const SEEN = "galaxy-live.mature.";

/** The picture of a room's live stream, whatever state it is in. */
export class LiveStage {
  #room;
  #player = null;
  #playing = null;
  #offs;

  constructor(room) {
    this.#room = room;
    this.video = h("video", { testid: "video", playsinline: true, "aria-label": t("player.label") });
    keepVolume(this.video);
    this.still = h("canvas.still", { hidden: true, testid: "still" });
    this.over = new Over(room);
    this.note = h("div.stage-note", { role: "status", testid: "stage-note", hidden: true });
    this.offline = h("div.offline", { testid: "offline", hidden: true });
    this.gate = h("div.gate", { testid: "gate", hidden: true });
    this.sound = h("button.unmute", { type: "button", testid: "unmute", hidden: true, onclick: () => this.unmute() }, icon("muted"), t("player.unmuteNow"));
    this.goLive = h("button.control.go-live", { type: "button", testid: "go-live", onclick: () => this.play() }, h("i", { "aria-hidden": "true" }), t("room.live"));
    this.latency = h("span.latency", { testid: "latency", title: t("player.latency") });
    this.choice = h("button.control", { type: "button", testid: "ways", title: t("player.ways"), "aria-label": t("player.ways"), "aria-haspopup": "menu", onclick: () => this.#chooseWay() }, icon("settings"));
    this.element = h("div.player", { testid: "stage", tabindex: "0", role: "region", "aria-label": t("player.label"), data: { state: "idle" } }, this.video, this.still, this.over.floats, this.offline, this.note, this.gate, this.over.element, this.over.toasts, this.sound);
    this.controls = new Controls({ element: this.element, video: this.video, play: () => this.play(), pause: () => this.#player?.pause(), unmute: () => this.unmute(), before: [this.goLive, this.latency], after: [this.over.toggle, this.choice] });
    this.element.append(this.controls.element);
    this.element.addEventListener("click", () => this.controls.wake());
    this.video.addEventListener("dblclick", () => this.controls.full.click());
    this.video.addEventListener("volumechange", () => (this.sound.hidden = !this.sound.dataset.needed || !this.video.muted));
    this.#offs = [room.on("change", () => this.#follow())];
    this.#follow();
  }

  destroy() {
    this.#offs.forEach((off) => off());
    this.#player?.stop();
    this.over.destroy();
    this.controls.destroy();
  }

  play() {
    this.#player?.play();
  }

  unmute() {
    this.sound.dataset.needed = "";
    if (this.#player) this.#player.unmute();
    else this.video.muted = false;
    rememberVolume(this.video);
  }

  /** Plays what there is to play, once the viewer may be shown it. */
  #follow() {
    const { live } = this.#room;
    const gated = Boolean(live?.mature) && sessionStorage.getItem(SEEN + this.#room.id) === null;
    const key = live && !gated ? JSON.stringify([live.since, live.media]) : null;
    this.#offline(live === null);
    this.#gate(gated);
    if (key !== this.#playing) {
      this.#playing = key;
      this.#player?.stop();
      this.#player = null;
      if (key !== null) this.#start();
    }
    this.#player?.interrupted(Boolean(live.interrupted));
    this.#draw();
  }

  #start() {
    const player = (this.#player = new Player(this.video, { addresses: addressesOf(this.#room), query: mediaQuery(this.#room), now: () => this.#room.client.now(), still: this.still }));
    player.on("state", () => this.#draw());
    player.on("change", () => this.#draw());
    player.on("latency", () => this.#draw());
    player.on("muted", () => {
      this.sound.dataset.needed = "yes";
      this.sound.hidden = false;
    });
    player.on("state", ({ state }) => state === "offline" && this.#comeBack(player));
    if (player.ways.length === 0) return this.#say("alert", t("player.unsupported"));
    return player.start();
  }

  /** The stream's process says that there is none, the room that there is: one of them will be right soon. */
  #comeBack(player) {
    setTimeout(() => player === this.#player && player.start(), 2000);
  }

  #draw() {
    const { live } = this.#room;
    const state = this.#player?.state ?? "idle";
    Object.assign(this.element.dataset, { state: live?.interrupted ? "interrupted" : live ? state : "off", way: this.#player?.way ?? "" });
    if (live?.interrupted) this.#say("offline", t("player.interrupted"));
    else if (live && (state === "connecting" || state === "stalled" || state === "offline")) this.#say(null, t(state === "stalled" ? "player.stalled" : "player.connecting"));
    else if (!live || this.#player === null || this.#player.ways.length > 0) this.note.hidden = true;
    const latency = this.#player?.latency ?? null;
    const text = latency === null ? "" : t("player.seconds", { seconds: Math.ceil(latency / 100) / 10 });
    if (this.latency.textContent !== text) this.latency.textContent = text;
    this.goLive.hidden = live === null;
    this.choice.hidden = this.#player === null;
  }

  #say(mark, text) {
    this.note.hidden = false;
    if (this.note.dataset.text === text) return;
    this.note.dataset.text = text;
    fill(this.note, mark ? icon(mark) : h("span.spinner", { "aria-hidden": "true" }), h("span", null, text));
  }

  #offline(off) {
    if (this.offline.hidden === !off) return;
    this.offline.hidden = !off;
    if (!off) return;
    const poster = h("img.poster", { src: posterOf(this.#room), alt: "", testid: "poster", onerror: () => poster.remove() });
    fill(this.offline, poster, h("div.offline-text", null, h("b", null, t("watch.offline")), h("p", null, t("watch.offlineText"))));
  }

  #gate(gated) {
    if (this.gate.hidden === !gated) return;
    this.gate.hidden = !gated;
    if (!gated) return;
    const open = () => {
      sessionStorage.setItem(SEEN + this.#room.id, "yes");
      this.#follow();
      this.element.focus();
    };
    fill(this.gate, icon("alert"), h("b", null, t("watch.mature")), h("p", null, t("watch.matureText")), h("button.primary", { type: "button", testid: "gate-open", onclick: open }, t("watch.matureOpen")));
  }

  #chooseWay() {
    const player = this.#player;
    const item = (way) => ({ label: t(`way.${way ?? "auto"}`), checked: player.chosen === way, testid: `way-${way ?? "auto"}`, run: () => player.choose(way) });
    menu(this.choice, [item(null), null, ...player.ways.map(item)]);
  }
}
