import { fill, h } from "../lib/dom.js";
import { select } from "../lib/dialog.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { Level } from "./level.js";
import { Sources } from "./sources.js";

/** Of video, in kbit/s, by name. */
export const QUALITIES = { low: 900, medium: 2_500, high: 5_000 };
const QUALITY = "galaxy-live.quality";
const KNOWN = new Set(["NotAllowedError", "NotFoundError", "NotReadableError"]);

/** The picture that would be sent, and what it is made of. `sources` are open once `open` has resolved. */
export class Stage {
  constructor() {
    this.sources = new Sources();
    this.level = new Level();
    this.video = h("video", { testid: "preview", muted: true, autoplay: true, playsinline: true, "aria-label": t("studio.preview") });
    this.note = h("div.stage-note", { role: "status", testid: "preview-note" }, t("studio.asking"));
    const choose = (kind, use) => h("select", { testid: kind, "aria-label": t(`studio.${kind}`), onchange: (event) => this.#try(() => use(event.target.value)) });
    this.camera = choose("camera", (id) => this.sources.camera(id));
    this.microphone = choose("microphone", (id) => this.sources.microphone(id));
    this.quality = select({ testid: "quality", "aria-label": t("studio.quality"), value: localStorage.getItem(QUALITY) ?? "medium", onchange: () => localStorage.setItem(QUALITY, this.quality.value) }, Object.keys(QUALITIES).map((name) => [name, t(`studio.quality.${name}`, { kbit: QUALITIES[name] })]));
    const button = (testid, run) => h("button.icon-button", { type: "button", testid, onclick: run });
    this.share = button("share-screen", () => this.#try(() => (this.sources.screen ? this.sources.camera() : this.sources.display())));
    this.mute = button("mute-microphone", () => this.#toggle("audio"));
    this.hide = button("hide-camera", () => this.#toggle("video"));
    this.element = h("section.studio-stage", { "aria-label": t("studio.preview") },
      h("div.player.preview", null, this.video, this.note),
      h("div.sources", null,
        h("div.source", null, this.hide, this.camera, this.share),
        h("div.source", null, this.mute, this.microphone, this.level.element),
        h("div.source", null, this.quality)));
    this.sources.on("track", ({ kind, track }) => this.#used(kind, track));
    this.sources.on("devices", () => this.#list());
    this.sources.on("ended", ({ kind }) => this.#try(() => (kind === "video" ? this.sources.camera() : this.sources.microphone())));
    this.#draw();
  }

  /** Asks for camera and microphone, each by itself: one of them may be refused, or not there. */
  async open() {
    if (!navigator.mediaDevices) return this.#say(t("studio.insecure"));
    await this.#try(() => this.sources.camera());
    await this.#try(() => this.sources.microphone());
    return this.#list();
  }

  destroy() {
    this.sources.destroy();
    this.level.destroy();
  }

  get kbit() {
    return QUALITIES[this.quality.value];
  }

  /** While it is sent, its most cannot be changed. */
  sending(is) {
    this.quality.disabled = is;
  }

  async #try(use) {
    try {
      await use();
    } catch (error) {
      if (!KNOWN.has(error.name)) throw error;
      if (!this.sources.video) this.#say(t(`studio.${error.name}`));
    }
    this.#draw();
  }

  #say(text) {
    fill(this.note, icon("alert"), h("span", null, text)).hidden = false;
  }

  #used(kind, track) {
    if (kind === "audio") this.level.listen(track);
    else {
      this.video.srcObject = new MediaStream([track]);
      this.note.hidden = true;
    }
    this.video.classList.toggle("mirrored", !this.sources.screen);
    this.#draw();
    this.#list();
  }

  #toggle(kind) {
    const track = this.sources[kind];
    if (track) track.enabled = !track.enabled;
    this.#draw();
  }

  async #list() {
    for (const [control, input, track] of [[this.camera, "videoinput", this.sources.screen ? null : this.sources.video], [this.microphone, "audioinput", this.sources.audio]]) {
      const devices = await this.sources.list(input);
      fill(control, devices.map(({ deviceId, label }, index) => h("option", { value: deviceId }, label || t("studio.device", { number: index + 1 }))));
      control.disabled = devices.length === 0;
      if (track) control.value = track.getSettings().deviceId;
    }
  }

  #draw() {
    const show = (element, mark, label, pressed) => {
      fill(element, icon(mark)).title = label;
      element.setAttribute("aria-label", label);
      element.setAttribute("aria-pressed", String(pressed));
    };
    const off = (track) => track !== null && !track.enabled;
    const { audio, video, screen } = this.sources;
    show(this.mute, off(audio) ? "micOff" : "mic", t(off(audio) ? "studio.unmute" : "studio.mute"), off(audio));
    show(this.hide, off(video) ? "cameraOff" : "camera", t(off(video) ? "studio.show" : "studio.hide"), off(video));
    show(this.share, "screen", t(screen ? "studio.unshare" : "studio.share"), screen);
    this.mute.disabled = audio === null;
    this.hide.disabled = video === null;
    this.share.hidden = !navigator.mediaDevices?.getDisplayMedia;
  }
}
