/**
 * galaxy-live/publisher.js: publishes a camera or a screen, and a microphone, by WHIP (RFC 9725).
 *
 *     import { Publisher } from "/web/galaxy-live/publisher.js";
 *     const publisher = new Publisher({ address: "/v1/rooms/g.lobby/whip", bearer: async () => streamKey });
 *     publisher.on("state", ({ state, error }) => console.log(state, error));
 *     publisher.start({ video: cameraTrack, audio: microphoneTrack });
 *     publisher.replace("video", screenTrack); // at any time, without a new session
 *     publisher.stop();
 *
 * Events: `state` {state, error?}, state being one of `idle`, `connecting`, `live`, `reconnecting`. A connection that is
 * lost is made anew, with growing pauses, until `stop`. What the server refuses for good (4xx but 408 and 429) ends it:
 * `idle` with the `error` (an RtcError), and so does the server when it hangs up for good: another encoder has taken the
 * stream over, it was stopped, or the key is another one.
 */
import { Emitter } from "./common.js";
import { RtcError, RtcSession } from "./rtc.js";

const DEFAULT_KBIT = 2_500;
const LOST_AFTER_MS = 3_000;
const CONNECT_WITHIN_MS = 10_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;
const SOON = new Set([408, 429]);

const lost = () => new RtcError(0, "The connection is lost");

/** H.264 before all else: it alone reaches every viewer without being coded anew. */
export function preferred(codecs) {
  const rank = ({ mimeType, sdpFmtpLine = "" }) => (mimeType !== "video/H264" ? 2 : sdpFmtpLine.includes("packetization-mode=1") ? 0 : 1);
  return [...codecs].sort((a, b) => rank(a) - rank(b));
}

export class Publisher extends Emitter {
  #options;
  #tracks = { video: null, audio: null };
  #maxKbit = DEFAULT_KBIT;
  #senders = {};
  #session = null;
  #peer = null;
  #state = "idle";
  #turn = 0;
  #failures = 0;
  #timer = null;

  /** @param options `address` of WHIP; `bearer()` resolves with the stream key or token */
  constructor({ address, bearer }) {
    super();
    this.#options = { address, bearer };
  }

  get state() {
    return this.#state;
  }

  /** @param what the tracks `video` and `audio`, one of them at least; `maxKbit` of video (2,500) */
  start({ video = null, audio = null, maxKbit = DEFAULT_KBIT }) {
    this.#tracks = { video, audio };
    this.#maxKbit = maxKbit;
    this.#failures = 0;
    this.#set("connecting");
    this.#connect();
  }

  /** Another track, or none, in place of the present one; kept over reconnections. */
  async replace(kind, track) {
    this.#tracks[kind] = track;
    const sender = this.#senders[kind];
    if (!sender) return;
    await sender.replaceTrack(track);
    await this.#shape();
  }

  /** That the server has nothing of it any more, as the room's log tells: made anew at once, where the browser waits. */
  interrupted() {
    if (this.#state === "live") this.#failed(lost());
  }

  /** Ends the session on the server, and all here but the tracks. */
  stop() {
    this.#drop();
    this.#set("idle");
  }

  async #connect() {
    const turn = ++this.#turn;
    const peer = (this.#peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" }));
    const { video, audio } = this.#tracks;
    const streams = [new MediaStream()];
    const pictures = peer.addTransceiver(video ?? "video", { direction: "sendonly", streams });
    pictures.setCodecPreferences(preferred(RTCRtpSender.getCapabilities("video").codecs));
    this.#senders = { video: pictures.sender, audio: peer.addTransceiver(audio ?? "audio", { direction: "sendonly", streams }).sender };
    peer.addEventListener("connectionstatechange", () => turn === this.#turn && this.#connection());
    this.#timer = setTimeout(() => this.#failed(new RtcError(0, "No connection within 10 s")), CONNECT_WITHIN_MS);
    try {
      const bearer = await this.#options.bearer();
      if (turn !== this.#turn) return;
      const session = await RtcSession.offer(peer, { address: this.#options.address, bearer, ended: () => turn === this.#turn && this.#failed(lost()) });
      if (turn !== this.#turn) return session.close();
      this.#session = session;
      await this.#shape();
    } catch (error) {
      if (turn === this.#turn) this.#failed(error);
    }
    return undefined;
  }

  /** The most that is sent; a screen keeps its size and gives up frames, where a camera does the opposite. */
  async #shape() {
    const { video } = this.#senders;
    const parameters = video.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = this.#maxKbit * 1000;
    parameters.degradationPreference = video.track?.contentHint === "detail" ? "maintain-resolution" : "maintain-framerate";
    await video.setParameters(parameters);
  }

  #connection() {
    clearTimeout(this.#timer);
    const { connectionState } = this.#peer;
    if (connectionState === "connected") {
      this.#failures = 0;
      this.#set("live");
    } else if (connectionState === "failed") this.#failed(lost());
    else this.#timer = setTimeout(() => this.#failed(lost()), connectionState === "disconnected" ? LOST_AFTER_MS : CONNECT_WITHIN_MS);
  }

  async #failed(error) {
    const final = error.status >= 400 && error.status < 500 && !SOON.has(error.status);
    const hungUp = this.#drop();
    const turn = this.#turn;
    if (final || !(error instanceof RtcError)) return this.#set("idle", error);
    this.#set("reconnecting", error);
    const away = await hungUp;
    if (turn !== this.#turn) return undefined;
    if (away) return this.#set("idle", away);
    const ceiling = Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** this.#failures++);
    this.#timer = setTimeout(() => this.#connect(), error.retryAfterMs ?? ceiling * (0.5 + Math.random() / 2));
    return undefined;
  }

  /** @returns {Promise<RtcError | null>} as of `RtcSession.close` */
  #drop() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    const session = this.#session;
    if (!session) this.#peer?.close();
    this.#session = this.#peer = null;
    this.#senders = {};
    return Promise.resolve(session?.close() ?? null);
  }

  #set(state, error) {
    if (this.#state === state && !error) return;
    this.#state = state;
    this.emit("state", { state, ...(error && { error }) });
  }
}
