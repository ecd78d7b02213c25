import { Emitter } from "../galaxy-live.js";

const CAMERA = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const SCREEN = { frameRate: { ideal: 30, max: 30 } };
const KEPT = "galaxy-live.devices";

const remembered = () => JSON.parse(localStorage.getItem(KEPT) ?? "{}");

/**
 * Camera or screen, and microphone. Emits `track` {kind, track} when another one is used, `ended` {kind, screen} when
 * one ends by itself (unplugged, or the user no longer shares the screen), `devices` when the list changes.
 */
export class Sources extends Emitter {
  video = null;
  audio = null;
  screen = false;
  #gone = {};
  #devices = () => this.emit("devices", {});

  constructor() {
    super();
    navigator.mediaDevices?.addEventListener("devicechange", this.#devices);
  }

  destroy() {
    navigator.mediaDevices?.removeEventListener("devicechange", this.#devices);
    this.video?.stop();
    this.audio?.stop();
  }

  /** Those there are of `videoinput` or `audioinput`, with names once the user has let the page use one. */
  async list(kind) {
    return (await navigator.mediaDevices.enumerateDevices()).filter((device) => device.kind === kind && device.deviceId !== "");
  }

  /** @throws {DOMException} as of getUserMedia */
  async camera(id = remembered().video) {
    const track = await this.#ask("video", id, CAMERA);
    track.contentHint = "motion";
    this.screen = false;
    this.#use("video", track);
  }

  /** @throws {DOMException} */
  async microphone(id = remembered().audio) {
    this.#use("audio", await this.#ask("audio", id, { channelCount: 2 }));
  }

  /** @throws {DOMException} `NotAllowedError` where the user thinks better of it */
  async display() {
    const [track] = (await navigator.mediaDevices.getDisplayMedia({ video: SCREEN })).getVideoTracks();
    track.contentHint = "detail";
    this.screen = true;
    this.#use("video", track);
  }

  /** A remembered device that is gone gives way to any other. */
  async #ask(kind, id, wanted) {
    const stream = await navigator.mediaDevices.getUserMedia({ [kind]: { ...wanted, ...(id && { deviceId: { ideal: id } }) } });
    const [track] = stream.getTracks();
    localStorage.setItem(KEPT, JSON.stringify({ ...remembered(), [kind]: track.getSettings().deviceId }));
    return track;
  }

  #ended(kind) {
    [this.#gone[kind], this[kind]] = [this[kind], null];
    this.emit("ended", { kind, screen: kind === "video" && this.screen });
  }

  #use(kind, track) {
    const old = this[kind] ?? this.#gone[kind]; // whoever is muted stays so
    if (old) track.enabled = old.enabled;
    this[kind] = track;
    track.addEventListener("ended", () => this[kind] === track && this.#ended(kind));
    this.emit("track", { kind, track });
    old?.stop();
  }
}
