/** Types of player.js, which plays a room's live stream. Times are ms. */

import { Emitter } from "../galaxy-live.js";

/** From the quickest to the surest: WebRTC, fragmented MP4 over a WebSocket, HLS. */
export type Way = "whep" | "stream" | "hls";
export const WAYS: readonly Way[];

/**
 * `paused`: by `pause`, or by the browser's own means (media keys, the window of picture in picture). `offline`: there is
 * no stream; `start` again when there is.
 */
export type PlayerState = "idle" | "connecting" | "playing" | "stalled" | "paused" | "offline";

/** Those that the room's stream has; see `roomAddresses`, and `room.live.media` of the reply to `room.join`. */
export type Addresses = Partial<Record<Way, string>>;

export interface PlayerOptions {
  addresses: Addresses;
  /** What each request says of who watches; nothing by default. */
  query?: () => Promise<{ ticket?: string; token?: string }>;
  /** The server's clock, ms since the Unix epoch; `Date.now` by default. */
  now?: () => number;
  /** A canvas over the video, on which the last picture stays while the way changes. */
  still?: HTMLCanvasElement | null;
}

export interface PlayerEvents {
  state: { state: PlayerState; way: Way | null };
  /** `reason`: `chosen`, `better`, or the `code` of the WayError that ended the way before. */
  change: { way: Way; from: Way | null; reason?: string };
  /** Once a second while playing. */
  latency: { ms: number };
  /** The browser plays without sound until the user asks for it (`unmute`). */
  muted: Record<string, never>;
  interrupted: Record<string, never>;
  resumed: Record<string, never>;
  /** So much was left out, as the connection is slow. */
  skipped: { ms: number };
  ended: { reason: string };
}

export class Player extends Emitter<PlayerEvents> {
  constructor(video: HTMLVideoElement, options: PlayerOptions);
  readonly state: PlayerState;
  /** The way that plays now, or null. */
  readonly way: Way | null;
  /** Those that this browser and this stream have. */
  readonly ways: Way[];
  /** What was chosen by hand, or null. */
  readonly chosen: Way | null;
  /** How long ago that was which is shown now; null where it is not known. */
  readonly latency: number | null;

  /** Throws a WayError (`unsupported`) where this browser plays none of the stream's ways. */
  start(): void;
  /** Ends all connections; the video is empty after it. */
  stop(): void;
  /** By hand one of `ways`; null leaves it to the player. */
  choose(way: Way | null): void;
  pause(): void;
  /** Goes on, at the live edge. */
  play(): void;
  unmute(): void;
  toLive(): void;
  /** That the creator's connection is interrupted, as the room's log tells: nobody stalls then. */
  interrupted(is?: boolean): void;
}

/** Where a room's stream is found on its own server. */
export function roomAddresses(room: string, origin?: string): Record<Way, string>;

export interface HlsWayEvents {
  /** `code`: `offline`, `lost`, `stalled`, `unsupported`. */
  failed: Error & { code: string };
  /** The `timeline` of a recording is known. */
  ready: undefined;
}

/** HLS by itself, for recordings: `open`, then `attach`. */
export class HlsWay extends Emitter<HlsWayEvents> {
  /** Whether this browser plays HLS, by itself or by hls.js. */
  static readonly supported: boolean;
  /** `start`: where a recording begins, in seconds. */
  constructor(options: { address: string; query: NonNullable<PlayerOptions["query"]>; start?: number });
  /** Rejects with an Error whose `code` is `lost` or `unsupported`. */
  open(): Promise<void>;
  attach(video: HTMLVideoElement): void;
  close(): void;
  /** When that was taken which is shown now, ms since the Unix epoch, or null. */
  shownAt(): number | null;
  toLive(): void;
  /** Of a recording: `[seconds, ms since the epoch]` where each run of time begins, as a stream may have been interrupted. */
  readonly timeline: [number, number][];
}
