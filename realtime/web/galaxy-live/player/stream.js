import { Emitter } from "../common.js";
import { WayError, withQuery } from "./addresses.js";
import { LiveEdge } from "./live_edge.js";

const OPEN_WITHIN_MS = 8_000;
/** Kept behind what is shown, and in all (who pauses comes back at the live edge). */
const KEPT_SECONDS = 12;
const MOST_SECONDS = 40;
const FOLLOW_EVERY_MS = 200;
/** More than this waiting to be appended means that the browser does not keep up: the oldest go, up to a new init. */
const MOST_WAITING = 256;

/** iPhones have only the managed kind. */
const Source = globalThis.MediaSource ?? globalThis.ManagedMediaSource;

/**
 * Fragmented MP4 over a WebSocket, played by Media Source Extensions near its live edge. Emits `failed` (a WayError),
 * `interrupted`, `resumed`, `skipped`, `ended`, `offline`.
 */
export class StreamWay extends Emitter {
  static supported = Boolean(Source);

  #options;
  #socket = null;
  #source = null;
  #buffer = null;
  #ready = false;
  #video = null;
  #waiting = [];
  #init = null;
  #edge = new LiveEdge();
  #timer = null;
  #started = false;
  #closed = false;
  #opened = null;

  /** @param options `{address, query(): Promise<object>}` */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** Resolves when media comes in. @throws {WayError} */
  async open() {
    const url = await this.#address();
    if (this.#closed) throw new WayError("lost");
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(new WayError("slow", "No media within 8 s")), OPEN_WITHIN_MS);
      this.#opened = { resolve, reject, timer };
      this.#connect(url);
    });
  }

  async #address() {
    return withQuery(this.#options.address, await this.#options.query());
  }

  #connect(url, sent = false) {
    url.protocol = url.protocol.replace("http", "ws");
    const socket = (this.#socket = new WebSocket(url));
    let open = false;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => (open = true);
    socket.onmessage = ({ data }) => (typeof data === "string" ? this.#told(JSON.parse(data)) : this.#media(data));
    socket.onclose = ({ code }) => {
      if (open || sent) this.#fail(new WayError("lost", `The connection ended (${code})`));
      else this.#redirected();
    };
  }

  /** WebSockets do not follow redirects: where the stream is elsewhere, a request by HTTP finds out. */
  async #redirected() {
    try {
      const { url, redirected } = await fetch(await this.#address());
      if (this.#closed) return;
      if (!redirected) throw new WayError("lost", "The connection was refused");
      this.#connect(new URL(url), true);
    } catch (error) {
      this.#fail(error instanceof WayError ? error : new WayError("lost", error.message));
    }
  }

  attach(video) {
    this.#video = video;
    this.#begin();
    this.#timer = setInterval(() => this.#follow(), FOLLOW_EVERY_MS);
    video.addEventListener("waiting", this.#underrun);
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#settle(new WayError("lost"));
    if (this.#socket) {
      this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    if (!this.#video) return;
    this.#video.removeEventListener("waiting", this.#underrun);
    this.#video.playbackRate = 1;
    this.#detach();
  }

  /** When (server's clock, ms) what is shown now was taken, or null. */
  shownAt() {
    return this.#init && this.#started ? this.#init.epoch_ms + this.#video.currentTime * 1000 : null;
  }

  /** To the live edge, at once. */
  toLive() {
    const last = this.#ranges().at(-1);
    if (last) this.#video.currentTime = Math.max(last[0], last[1] - this.#edge.target);
  }

  #underrun = () => this.#started && !document.hidden && this.#edge.underrun(performance.now() / 1000);

  #told(message) {
    if (message.type === "init") this.#waiting.push({ init: message });
    else if (message.type === "offline") this.#fail(new WayError("offline"));
    else if (message.type === "ended") {
      this.emit("ended", message);
      this.#fail(new WayError("lost", message.reason));
    } else this.emit(message.type, message); // interrupted, resumed, skipped
  }

  #media(data) {
    this.#waiting.push({ data });
    if (this.#opened) this.#settle();
    this.#bound();
    this.#append();
  }

  /** Leaves out what is too much: all parts but the latest, never an init segment. */
  #bound() {
    if (this.#waiting.length <= MOST_WAITING) return;
    const init = this.#waiting.findLastIndex((item) => item.init);
    this.#waiting = init >= 0 ? this.#waiting.slice(init) : this.#waiting.slice(-1);
    if (this.#waiting.length > MOST_WAITING) this.#waiting.splice(2, this.#waiting.length - MOST_WAITING);
  }

  #begin() {
    const source = (this.#source = new Source());
    this.#buffer = null;
    this.#ready = false;
    source.addEventListener("sourceopen", () => {
      if (source !== this.#source) return;
      URL.revokeObjectURL(this.#video.src);
      source.duration = Infinity; // which no buffer may be at work for: parts wait until here
      this.#ready = true;
      this.#append();
    }, { once: true });
    if (!globalThis.MediaSource) this.#video.disableRemotePlayback = true; // else a managed source does not open
    this.#video.srcObject = null;
    this.#video.src = URL.createObjectURL(source);
  }

  #detach() {
    this.#source = this.#buffer = null;
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #append() {
    if (!this.#ready || this.#source?.readyState !== "open" || this.#buffer?.updating || this.#waiting.length === 0) return;
    try {
      if (this.#waiting[0].init && !this.#configure(this.#waiting.shift().init)) return;
      const next = this.#waiting[0];
      if (!next?.data || !this.#buffer) return;
      this.#buffer.appendBuffer(next.data);
      this.#waiting.shift();
    } catch (error) {
      if (error.name === "QuotaExceededError") this.#drop(2);
      else this.#fail(new WayError("stalled", error.message));
    }
  }

  /** Makes ready for an init segment that follows. Returns false where the source begins anew. */
  #configure(init) {
    const type = `video/mp4; codecs="${init.codecs}"`;
    if (!Source.isTypeSupported(type)) {
      this.#fail(new WayError("unsupported", type));
      return false;
    }
    const before = this.#init?.codecs.split(",").length;
    const changed = this.#init && this.#init.codecs !== init.codecs;
    this.#init = init;
    if (!this.#buffer) {
      this.#buffer = this.#source.addSourceBuffer(type);
      this.#buffer.addEventListener("updateend", () => this.#appended());
      this.#buffer.addEventListener("error", () => this.#fail(new WayError("stalled", "A part cannot be decoded")));
    } else if (changed && before === init.codecs.split(",").length) {
      this.#buffer.changeType(type);
    } else if (changed) {
      this.#waiting.unshift({ init }); // a buffer keeps its number of tracks
      this.#started = false;
      this.#begin();
      return false;
    }
    this.emit("config", init);
    return true;
  }

  #appended() {
    if (this.#closed || !this.#buffer) return;
    const ranges = this.#ranges();
    if (!this.#started && ranges.length > 0) {
      this.#started = true;
      this.#video.currentTime = ranges.at(-1)[0];
    }
    if (ranges.length > 0 && this.#keptFrom(ranges, KEPT_SECONDS) - ranges[0][0] > KEPT_SECONDS) this.#drop(KEPT_SECONDS);
    else this.#append();
  }

  #keptFrom(ranges, seconds) {
    return Math.max(this.#video.currentTime - seconds, ranges.at(-1)[1] - MOST_SECONDS);
  }

  /** Removes what lies further back than `seconds`. */
  #drop(seconds) {
    const ranges = this.#ranges();
    const until = ranges.length > 0 ? this.#keptFrom(ranges, seconds) : 0;
    if (ranges.length > 0 && until > ranges[0][0]) this.#buffer.remove(0, until);
    else this.#fail(new WayError("stalled", "The browser takes no more"));
  }

  #ranges() {
    const buffered = this.#buffer && this.#source?.readyState === "open" ? this.#buffer.buffered : { length: 0 };
    return Array.from({ length: buffered.length }, (_, index) => [buffered.start(index), buffered.end(index)]);
  }

  #follow() {
    const video = this.#video;
    if (!this.#started || video.paused || video.seeking) return;
    const { jump, rate } = this.#edge.follow(video.currentTime, this.#ranges(), performance.now() / 1000);
    if (jump !== undefined && Math.abs(jump - video.currentTime) > 0.05) video.currentTime = jump;
    if (video.playbackRate !== rate) video.playbackRate = rate;
    this.#append(); // after a removal that made room
  }

  #fail(error) {
    if (this.#closed) return;
    const opening = this.#opened !== null;
    if (error.code === "offline") this.emit("offline");
    this.#settle(error);
    if (!opening) this.emit("failed", error);
  }

  #settle(error) {
    const opened = this.#opened;
    this.#opened = null;
    clearTimeout(opened?.timer);
    if (error) opened?.reject(error);
    else opened?.resolve();
  }
}
