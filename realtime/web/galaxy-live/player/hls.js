import { Emitter } from "../common.js";
import { WayError, withQuery } from "./addresses.js";

/** Apple's own player is better at HLS than any script; elsewhere hls.js, which also knows low latency. */
const APPLE = /^Apple/.test(navigator.vendor);
const NATIVE = APPLE && document.createElement("video").canPlayType("application/vnd.apple.mpegurl") !== "";
const NETWORK_TRIES = 3;
const RETRY_MS = 1_000;
const GONE = 410;
/** hls.js loads the same part for ever where the sound of a stream's first segment ends before its picture does. */
const SAME_LOADS = 3;

/** HLS, of a live stream or of a recording. Emits `failed` (a WayError) and `ready` when the playlist is known. */
export class HlsWay extends Emitter {
  static supported = NATIVE || Boolean(globalThis.MediaSource ?? globalThis.ManagedMediaSource);

  #options;
  #address = null;
  #hls = null;
  #video = null;
  #Hls = null;
  #tries = 0;
  #loading = { name: "", times: 0 };
  #started = null;
  #failedNatively = () => this.#fail(new WayError("stalled", this.#video.error?.message));

  /** @param options `{address, query(): Promise<object>, start?: number}` where a recording begins, in seconds */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** @throws {WayError} */
  async open() {
    this.#address = withQuery(this.#options.address, await this.#options.query()).href;
    if (NATIVE) return;
    try {
      ({ default: this.#Hls } = await import("../../vendor/hls.light.min.mjs"));
    } catch (error) {
      throw new WayError("lost", error.message);
    }
    if (!this.#Hls.isSupported()) throw new WayError("unsupported", "No Media Source Extensions");
  }

  attach(video) {
    this.#video = video;
    video.srcObject = null;
    if (NATIVE) {
      video.addEventListener("error", this.#failedNatively);
      video.src = this.#address;
      return;
    }
    const { Events, ErrorTypes } = this.#Hls;
    const hls = (this.#hls = new this.#Hls({ lowLatencyMode: true, enableWorker: false, backBufferLength: 20, maxLiveSyncPlaybackRate: 1.1, startPosition: this.#options.start ?? -1 }));
    hls.on(Events.ERROR, (_, data) => data.fatal && this.#recover(data, ErrorTypes));
    hls.on(Events.FRAG_LOADING, (_, { frag, part }) => this.#loads(`${frag.sn} ${part?.index}`));
    hls.on(Events.FRAG_BUFFERED, () => (this.#tries = 0));
    hls.on(Events.LEVEL_LOADED, (_, { details }) => this.#loaded(details));
    hls.attachMedia(video);
    hls.loadSource(this.#address);
  }

  close() {
    this.#hls?.destroy();
    this.#hls = null;
    if (!this.#video) return;
    this.#video.removeEventListener("error", this.#failedNatively);
    this.#video.playbackRate = 1;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  /** When (ms) what is shown now was taken, by EXT-X-PROGRAM-DATE-TIME; or null. */
  shownAt() {
    if (!this.#hls) {
      const start = this.#video?.getStartDate?.().getTime();
      return start > 0 ? start + this.#video.currentTime * 1000 : null;
    }
    return this.#hls.playingDate?.getTime() ?? null;
  }

  toLive() {
    const to = this.#hls ? this.#hls.liveSyncPosition : this.#video.seekable.length > 0 ? this.#video.seekable.end(this.#video.seekable.length - 1) - 1 : null;
    if (to !== null) this.#video.currentTime = to;
  }

  /** Of a recording: `[seconds, ms]` where each run of time begins, since a stream may have been interrupted. */
  get timeline() {
    return this.#started ?? [];
  }

  #loaded(details) {
    if (!details.live && !this.#started) {
      const dated = details.fragments.filter(({ programDateTime }) => programDateTime !== null && programDateTime !== undefined);
      this.#started = dated.map(({ start, programDateTime }) => [start, programDateTime]);
      this.emit("ready");
    }
  }

  #loads(name) {
    this.#loading = { name, times: name === this.#loading.name ? this.#loading.times + 1 : 1 };
    // Later: hls.js is at work on this very load, and does not expect to be destroyed.
    if (this.#loading.times > SAME_LOADS) setTimeout(() => this.#hls && this.#fail(new WayError("stalled", `${name} is loaded over and over`)));
  }

  #recover({ type, details, response }, kinds) {
    if (response?.code === GONE) this.#fail(new WayError("offline", "The stream has ended"));
    else if (this.#tries++ >= NETWORK_TRIES) this.#fail(new WayError("lost", details));
    else if (type === kinds.MEDIA_ERROR) this.#hls.recoverMediaError();
    else if (type === kinds.NETWORK_ERROR) setTimeout(() => this.#hls?.loadSource(this.#address), RETRY_MS * this.#tries);
    else this.#fail(new WayError("lost", details));
  }

  #fail(error) {
    if (this.#video) this.emit("failed", error);
  }
}
