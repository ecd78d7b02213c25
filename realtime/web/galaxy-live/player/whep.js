import { Emitter } from "../common.js";
import { RtcError, RtcSession } from "../rtc.js";
import { WayError } from "./addresses.js";

const OPEN_WITHIN_MS = 8_000;
const LOOK_EVERY_MS = 1_000;
const LOST_SHARE = 0.1;
const LOST_LOOKS = 5;
const GONE_MS = 4_000;
/** From 1900 to 1970, as NTP counts. */
const NTP_EPOCH_MS = 2_208_988_800_000;

/** WebRTC by WHEP. Emits `failed` (a WayError). */
export class WhepWay extends Emitter {
  static supported = Boolean(globalThis.RTCPeerConnection);

  #options;
  #peer = null;
  #session = null;
  #stream = new MediaStream();
  #video = null;
  #timer = null;
  #closed = false;
  #lossy = 0;
  #before = { received: 0, lost: 0 };
  #latency = null;
  #goneTimer = null;

  /** @param options `{address, query(): Promise<object>, now(): number}` */
  constructor(options) {
    super();
    this.#options = options;
  }

  /** Resolves when frames come in. @throws {WayError} */
  async open() {
    const peer = (this.#peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    const video = peer.addTransceiver("video", { direction: "recvonly" });
    peer.addTransceiver("audio", { direction: "recvonly" });
    video.receiver.jitterBufferTarget = 0;
    peer.addEventListener("track", ({ track }) => this.#stream.addTrack(track));
    peer.addEventListener("connectionstatechange", () => this.#connection());
    try {
      this.#session = await RtcSession.offer(peer, { address: this.#options.address, query: await this.#options.query(), ended: () => this.#fail(new WayError("lost", "The server has ended it")) });
    } catch (error) {
      throw new WayError(error instanceof RtcError && error.status > 0 ? "refused" : "lost", error.message);
    }
    if (this.#closed) {
      this.#session.close();
      throw new WayError("lost");
    }
    await this.#flowing();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  attach(video) {
    this.#video = video;
    video.removeAttribute("src");
    video.srcObject = this.#stream;
  }

  close() {
    this.#closed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#goneTimer);
    if (this.#session) this.#session.close();
    else this.#peer?.close();
    if (this.#video) this.#video.srcObject = null;
  }

  shownAt() {
    return this.#latency === null ? null : this.#options.now() - this.#latency;
  }

  toLive() {} // it is never anywhere else

  /** Waits for the first whole frame. */
  async #flowing() {
    for (const until = performance.now() + OPEN_WITHIN_MS; performance.now() < until; ) {
      if (this.#closed) throw new WayError("lost");
      const report = await this.#report();
      if (report && (report.framesReceived > 0 || report.framesDecoded > 0)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new WayError("slow", "No picture within 8 s");
  }

  async #report() {
    const stats = await this.#peer.getStats();
    return [...stats.values()].find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
  }

  #connection() {
    clearTimeout(this.#goneTimer);
    const { connectionState } = this.#peer;
    if (connectionState === "failed" || connectionState === "closed") this.#fail(new WayError("lost"));
    else if (connectionState === "disconnected") this.#goneTimer = setTimeout(() => this.#fail(new WayError("lost")), GONE_MS);
  }

  async #look() {
    if (this.#closed) return;
    const stats = [...(await this.#peer.getStats()).values()];
    const inbound = stats.find(({ type, kind }) => type === "inbound-rtp" && kind === "video");
    if (!inbound) return;
    this.#latency = this.#measure(inbound, stats);
    const [received, lost] = [inbound.packetsReceived - this.#before.received, inbound.packetsLost - this.#before.lost];
    this.#before = { received: inbound.packetsReceived, lost: inbound.packetsLost };
    this.#lossy = lost > (received + lost) * LOST_SHARE ? this.#lossy + 1 : 0;
    if (this.#lossy >= LOST_LOOKS) this.#fail(new WayError("loss", "Too many packets are lost on the way"));
  }

  /** By the sender reports' clock where it is known, else what this end adds: half the round trip, the jitter buffer. */
  #measure(inbound, stats) {
    const shown = inbound.estimatedPlayoutTimestamp;
    const now = this.#options.now();
    if (shown > 0) {
      const latency = now - (shown > NTP_EPOCH_MS ? shown - NTP_EPOCH_MS : shown);
      if (latency > -500 && latency < 30_000) return Math.max(0, latency);
    }
    const pair = stats.find(({ type, nominated }) => type === "candidate-pair" && nominated);
    const buffered = inbound.jitterBufferEmittedCount > 0 ? inbound.jitterBufferDelay / inbound.jitterBufferEmittedCount : 0;
    return 1000 * (buffered + (pair?.currentRoundTripTime ?? 0) / 2);
  }

  #fail(error) {
    if (!this.#closed) this.emit("failed", error);
  }
}
