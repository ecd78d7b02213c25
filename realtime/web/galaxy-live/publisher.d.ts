/** Types of publisher.js, which publishes a camera or a screen, and a microphone, by WHIP (RFC 9725). */

import { Emitter } from "../galaxy-live.js";

export type PublisherState = "idle" | "connecting" | "live" | "reconnecting";

/** `status` of the server's answer, 0 where there was none. */
export interface RtcError extends Error {
  status: number;
  retryAfterMs?: number;
}

export interface PublisherEvents {
  /**
   * `error`: why it is `idle` or `reconnecting`, where nobody has asked for that. `idle` with the status 403 also where the
   * server has hung up for good: another encoder has taken the stream over, it was stopped, or the key is another one.
   */
  state: { state: PublisherState; error?: RtcError };
}

export class Publisher extends Emitter<PublisherEvents> {
  /** `address` of WHIP; `bearer` resolves with the stream key or a token. */
  constructor(options: { address: string; bearer: () => Promise<string> });
  readonly state: PublisherState;
  /** One track at least; `maxKbit` of video (2,500). */
  start(what: { video?: MediaStreamTrack | null; audio?: MediaStreamTrack | null; maxKbit?: number }): void;
  /** Another track, or none, in place of the present one; kept over reconnections. */
  replace(kind: "video" | "audio", track: MediaStreamTrack | null): Promise<void>;
  /** That the server has nothing of it any more, as the room's log tells: made anew at once, where the browser waits. */
  interrupted(): void;
  /** Ends the session on the server, and all here but the tracks. */
  stop(): void;
}

/** H.264 before all else: it alone reaches every viewer without being coded anew. */
export function preferred<Codec extends { mimeType: string; sdpFmtpLine?: string }>(codecs: readonly Codec[]): Codec[];
