/**
 * galaxy-live/player.js: plays a room's live stream, whatever the network allows.
 *
 *     import { Player, roomAddresses } from "/web/galaxy-live/player.js";
 *     const player = new Player(document.querySelector("video"), {
 *       addresses: roomAddresses("g.lobby"),           // or room.live.media of the reply to room.join
 *       query: async () => ({ ticket: (await client.request("ticket.create", { room: "g.lobby" })).ticket }),
 *     });
 *     player.on("state", ({ state, way }) => console.log(state, way));
 *     player.start();
 *
 * Three ways, from the quickest to the surest: `whep` (WebRTC), `stream` (fragmented MP4 over a WebSocket), `hls`. It falls to the
 * next one when one fails, stalls or is refused, and tries a better one again later; the picture stays while it changes.
 *
 * Events: `state` {state, way}, state being one of `idle`, `connecting`, `playing`, `stalled`, `paused` (by
 * `pause`, or by the browser's own means: media keys, the window of picture in picture), `offline` (there is no stream;
 * `start` again when there is); `change` {way, from?, reason?}; `latency` {ms} once a second while playing;
 * `muted` {} where the browser plays without sound only until the user asks for it (`unmute`); `interrupted`, `resumed`,
 * `skipped` {ms}, `ended` {reason} as the server tells.
 */
import { Emitter } from "./common.js";
import { WayError, roomAddresses } from "./player/addresses.js";
import { Chooser, WAYS } from "./player/chooser.js";
import { HlsWay } from "./player/hls.js";
import { StreamWay } from "./player/stream.js";
import { Watch } from "./player/watch.js";
import { WhepWay } from "./player/whep.js";

export { HlsWay, WAYS, roomAddresses };

const MAKE = { whep: WhepWay, stream: StreamWay, hls: HlsWay };
const LOOK_EVERY_MS = 500;
const UP_EVERY_MS = 10_000;

export class Player extends Emitter {
  #video;
  #options;
  #chooser;
  #way = null;
  #name = null;
  #turn = 0;
  #state = "idle";
  #timers = [];
  #retry = null;
  #watch = null;
  #interrupted = false;
  #upAt = 0;
  #trying = null;
  #still = null;
  #paused = false;

  /**
   * @param {HTMLVideoElement} video
   * @param options `addresses` {whep?, stream?, hls?}; `query()` resolves with what each request says of who watches
   *   ({ticket} or {token}; default nothing); `now()` the server's clock in ms; `still` a canvas over the video, on which
   *   the last picture stays while the way changes
   */
  constructor(video, { addresses, query = async () => ({}), now = Date.now, still = null }) {
    super();
    this.#video = video;
    this.#options = { addresses, query, now };
    this.#still = still;
    this.#chooser = new Chooser(WAYS.filter((way) => addresses[way] && MAKE[way].supported));
    video.playsInline = true;
    video.addEventListener("playing", () => this.#playing());
    video.addEventListener("pause", () => !video.ended && this.#way && this.#halted());
    video.addEventListener("play", () => this.#way && this.#paused && this.play());
  }

  get state() {
    return this.#state;
  }

  /** The way that plays now, or null. */
  get way() {
    return this.#name;
  }

  /** Those that this browser and this stream have. */
  get ways() {
    return this.#chooser.ways;
  }

  /** What was chosen by hand, or null. */
  get chosen() {
    return this.#chooser.chosen;
  }

  /** How long ago, in ms, that was which is shown now; null where it is not known. */
  get latency() {
    const at = this.#way?.shownAt() ?? null;
    return at === null || this.#state !== "playing" || this.#interrupted ? null : Math.max(0, this.#options.now() - at);
  }

  start() {
    if (this.#state !== "idle" && this.#state !== "offline") return;
    if (this.ways.length === 0) throw new WayError("unsupported", "This browser plays none of the ways of this stream");
    this.#interrupted = this.#paused = false;
    this.#timers = [setInterval(() => this.#look(), LOOK_EVERY_MS)];
    this.#set("connecting");
    this.#switch(this.#chooser.first(Date.now()));
  }

  /** Ends all connections; the video is empty after it. */
  stop() {
    this.#end("idle");
  }

  /** By hand one of `ways`; null leaves it to the player. */
  choose(way) {
    this.#chooser.choose(way);
    if (this.#timers.length === 0) return;
    const wanted = this.#chooser.first(Date.now());
    if (wanted !== this.#name || this.#retry !== null) this.#switch(wanted, "chosen");
  }

  pause() {
    this.#halted();
    this.#video.pause();
  }

  /** Goes on, at the live edge. */
  play() {
    this.#paused = false;
    this.#way?.toLive();
    this.#play();
  }

  unmute() {
    this.#video.muted = false;
    if (this.#video.volume === 0) this.#video.volume = 0.5;
    this.#play();
  }

  toLive() {
    this.#way?.toLive();
  }

  /** That the creator's connection is interrupted, as the room's log tells: nobody stalls then. */
  interrupted(is = true) {
    if (this.#interrupted === is) return;
    this.#interrupted = is;
    this.#watch?.reset();
  }

  async #switch(name, reason) {
    const turn = ++this.#turn;
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#trying?.close();
    const way = (this.#trying = new MAKE[name]({ address: this.#options.addresses[name], query: this.#options.query, now: this.#options.now }));
    try {
      await way.open();
    } catch (error) {
      way.close();
      if (turn !== this.#turn) return;
      this.#trying = null;
      this.#failed(name, error);
      return;
    }
    if (turn !== this.#turn) return way.close();
    this.#trying = null;
    this.#attach(name, way, reason);
  }

  #attach(name, way, reason) {
    const from = this.#name;
    this.#freeze();
    this.#way?.close();
    this.#way = way;
    this.#name = name;
    this.#watch = new Watch(name, performance.now());
    this.#upAt = Date.now() + UP_EVERY_MS;
    way.on("failed", (error) => way === this.#way && this.#failed(name, error));
    for (const event of ["interrupted", "resumed"]) {
      way.on(event, (detail) => {
        this.interrupted(event === "interrupted");
        this.emit(event, detail);
      });
    }
    for (const event of ["skipped", "ended"]) way.on(event, (detail) => this.emit(event, detail));
    way.attach(this.#video);
    this.emit("change", { way: name, from, reason });
    if (this.#paused) this.#set("paused");
    else this.#play();
  }

  /** With sound where the browser allows it, else without, and says so. */
  async #play() {
    try {
      await this.#video.play();
    } catch (error) {
      if (error.name !== "NotAllowedError" || this.#video.muted) return; // an AbortError: something newer is to be played
      this.#video.muted = true;
      this.emit("muted", {});
      this.#play();
    }
  }

  #halted() {
    this.#paused = true;
    if (this.#way) this.#set("paused");
  }

  #playing() {
    if (this.#timers.length === 0) return;
    this.#chooser.plays();
    this.#watch?.reset();
    if (this.#still) this.#still.hidden = true;
    this.#set("playing");
  }

  #failed(name, error) {
    if (error.code === "offline") return this.#end("offline");
    const current = name === this.#name;
    const next = this.#chooser.failed(name, Date.now());
    if (!current && this.#way && this.#chooser.chosen === null) return this.#chooser.plays(); // a better one was tried
    if (current) {
      this.#freeze();
      this.#way.close();
      this.#way = this.#name = null;
    }
    this.#set("connecting");
    const again = () => this.#switch(next.way, error.code);
    if (next.afterMs === 0) return again();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(again, next.afterMs);
    return undefined;
  }

  #look() {
    const now = Date.now();
    if (!this.#way || this.#paused) return;
    const stalled = this.#watch.look({ at: this.#video.currentTime, now: performance.now(), excused: this.#interrupted || document.hidden });
    if (stalled === "long" || stalled === "often") return this.#failed(this.#name, new WayError("stalled"));
    if (stalled === "short" && this.#state === "playing") this.#set("stalled");
    else if (stalled === null && this.#state === "stalled") this.#set("playing");
    if (this.#state !== "playing") return undefined;
    if (now % 1000 < LOOK_EVERY_MS && this.latency !== null) this.emit("latency", { ms: this.latency });
    if (now < this.#upAt || this.#interrupted || document.hidden || this.#trying) return undefined;
    this.#upAt = now + UP_EVERY_MS;
    const better = this.#chooser.better(this.#name, now);
    return better && this.#switch(better, "better");
  }

  /** Keeps the last picture in sight while another way is taken. */
  #freeze() {
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.#still || width === 0 || !this.#still.hidden) return;
    Object.assign(this.#still, { width, height, hidden: false });
    this.#still.getContext("2d").drawImage(this.#video, 0, 0);
  }

  #end(state) {
    this.#turn += 1;
    this.#timers.forEach(clearInterval);
    this.#timers = [];
    clearTimeout(this.#retry);
    this.#retry = null;
    this.#trying?.close();
    this.#way?.close();
    this.#trying = this.#way = this.#name = this.#watch = null;
    if (this.#still) this.#still.hidden = true;
    this.#set(state);
  }

  #set(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", { state, way: this.#name });
  }
}
