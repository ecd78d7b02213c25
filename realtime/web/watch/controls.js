import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { rememberVolume } from "./volume.js";

const HIDE_AFTER_MS = 3000;
const VOLUME_STEP = 0.1;

/** A button whose icon and label change with what it would do. */
function button(testid, run) {
  const element = h("button.control", { type: "button", testid, onclick: run });
  return Object.assign(element, {
    show(mark, label, pressed = null) {
      if (element.dataset.shows === `${mark} ${label}`) return;
      element.dataset.shows = `${mark} ${label}`;
      fill(element, icon(mark));
      element.title = label;
      element.setAttribute("aria-label", label);
      if (pressed !== null) element.setAttribute("aria-pressed", String(pressed));
    },
  });
}

/**
 * The bar under the picture, and the stage's keys. It hides while nobody moves.
 * @param stage `{element, video, play(), pause(), unmute(), before: Node[], after: Node[]}`
 */
export class Controls {
  #stage;
  #timer = null;
  #off;

  constructor(stage) {
    this.#stage = stage;
    const { video } = stage;
    this.play = button("play", () => this.#toggle());
    this.mute = button("mute", () => this.#mute());
    this.volume = h("input.volume", { type: "range", min: 0, max: 1, step: 0.05, testid: "volume", "aria-label": t("player.volume"), oninput: () => this.#loud(Number(this.volume.value)) });
    this.pip = button("pip", () => this.#pictureInPicture());
    this.full = button("fullscreen", () => this.#fullscreen());
    this.full.classList.add("full");
    this.pip.show("pip", t("player.pip"));
    this.pip.hidden = !document.pictureInPictureEnabled;
    this.element = h("div.controls", null, h("div.control-row", null, this.play, this.mute, this.volume, stage.before ?? [], h("span.gap"), stage.after ?? [], this.pip, this.full));
    const draw = () => this.draw();
    for (const name of ["play", "pause", "volumechange", "enterpictureinpicture", "leavepictureinpicture"]) video.addEventListener(name, draw);
    document.addEventListener("fullscreenchange", draw);
    this.#off = () => document.removeEventListener("fullscreenchange", draw);
    stage.element.addEventListener("pointermove", (event) => event.pointerType !== "touch" && this.wake());
    stage.element.addEventListener("pointerleave", (event) => event.pointerType !== "touch" && this.#sleep());
    stage.element.addEventListener("focusin", () => this.wake());
    stage.element.addEventListener("keydown", (event) => this.#key(event));
    this.draw();
    this.wake();
  }

  destroy() {
    this.#off();
    clearTimeout(this.#timer);
  }

  get awake() {
    return this.#stage.element.classList.contains("awake");
  }

  wake() {
    this.#stage.element.classList.add("awake");
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#sleep(), HIDE_AFTER_MS);
  }

  /** Not while somebody is at the controls by keyboard, or the picture stands still. */
  #sleep() {
    if (this.element.querySelector(":focus-visible") || this.#stage.video.paused) return;
    this.#stage.element.classList.remove("awake");
  }

  draw() {
    const { video } = this.#stage;
    this.play.show(video.paused ? "play" : "pause", t(video.paused ? "player.play" : "player.pause"));
    const silent = video.muted || video.volume === 0;
    this.mute.show(silent ? "muted" : "volume", t(silent ? "player.unmute" : "player.mute"));
    this.volume.value = String(silent ? 0 : video.volume);
    const full = document.fullscreenElement !== null;
    this.full.show(full ? "unfull" : "full", t(full ? "player.leaveFull" : "player.full"));
  }

  #toggle() {
    if (this.#stage.video.paused) this.#stage.play();
    else this.#stage.pause();
  }

  #mute() {
    const { video } = this.#stage;
    if (video.muted || video.volume === 0) this.#stage.unmute();
    else video.muted = true;
    rememberVolume(video);
  }

  #loud(volume) {
    const { video } = this.#stage;
    video.volume = Math.min(1, Math.max(0, volume));
    video.muted = video.volume === 0;
    rememberVolume(video);
  }

  async #pictureInPicture() {
    const { video } = this.#stage;
    try {
      await (document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture());
    } catch (error) {
      if (error.name !== "InvalidStateError" && error.name !== "NotAllowedError") throw error; // there is no picture yet
    }
  }

  async #fullscreen() {
    const { element, video } = this.#stage;
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (element.requestFullscreen) await element.requestFullscreen({ navigationUI: "hide" });
    else video.webkitEnterFullscreen(); // iPhones show nothing but the video
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not(.volume), textarea, [role^=menuitem]")) return;
    const { video } = this.#stage;
    const onButton = event.target.matches("button, a");
    const keys = {
      " ": () => !onButton && this.#toggle(),
      k: () => this.#toggle(),
      m: () => this.#mute(),
      f: () => this.#fullscreen(),
      i: () => this.#pictureInPicture(),
      ArrowUp: () => this.#loud(video.volume + VOLUME_STEP),
      ArrowDown: () => this.#loud(video.volume - VOLUME_STEP),
    };
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (event.key === " " && onButton) || (event.key.startsWith("Arrow") && event.target.matches(".volume"))) return;
    event.preventDefault();
    this.wake();
    act();
  }
}
