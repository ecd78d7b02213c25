import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";

const DRAW_EVERY_MS = 80;
/** What is quieter than this, in dB of full scale, shows as nothing. */
const FLOOR = -60;

/** How loud the microphone is. */
export class Level {
  #context = null;
  #source = null;
  #analyser = null;
  #timer = null;
  #samples = new Float32Array(1024);

  constructor() {
    this.bar = h("i", { "aria-hidden": "true" });
    this.element = h("div.level", { role: "meter", "aria-label": t("studio.level"), "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "0", testid: "level" }, this.bar);
  }

  /** Of this track from now on. */
  listen(track) {
    this.#context ??= new AudioContext();
    this.#analyser ??= this.#context.createAnalyser();
    this.#source?.disconnect();
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
    this.#timer ??= setInterval(() => this.#draw(), DRAW_EVERY_MS);
  }

  destroy() {
    clearInterval(this.#timer);
    this.#context?.close();
  }

  #draw() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    const share = Math.min(1, Math.max(0, 1 - (10 * Math.log10(power)) / FLOOR));
    this.bar.style.transform = `scaleX(${share})`;
    this.element.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  }
}
