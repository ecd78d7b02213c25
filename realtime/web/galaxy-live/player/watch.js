/** Notices that a picture stands still: pure, times in ms. */

/** How long each way may stand still, and begin, before another is taken. */
const PATIENCE = { whep: 4_000, stream: 6_000, hls: 12_000 };
const SHORT_MS = 700;
const OFTEN = 4;
const WITHIN_MS = 30_000;

export class Watch {
  #patience;
  #movedAt;
  #at = -1;
  #still = false;
  #stalls = [];

  constructor(way, now) {
    this.#patience = PATIENCE[way];
    this.#movedAt = now;
  }

  /** Playback has begun, or stands still for a good reason: counting begins anew. */
  reset() {
    this.#movedAt = null;
    this.#still = false;
  }

  /**
   * @param {{at: number, now: number, excused: boolean}} look where playback is; whether it may stand still
   * @returns {null | "short" | "long" | "often"} how it stands still
   */
  look({ at, now, excused }) {
    if (at !== this.#at || excused || this.#movedAt === null) {
      this.#at = at;
      this.#movedAt = now;
      this.#still = false;
      return null;
    }
    const still = now - this.#movedAt;
    if (still < SHORT_MS) return null;
    if (!this.#still) {
      this.#still = true;
      this.#stalls = [...this.#stalls.filter((moment) => moment > now - WITHIN_MS), now];
    }
    if (still >= this.#patience) return "long";
    return this.#stalls.length >= OFTEN ? "often" : "short";
  }
}
