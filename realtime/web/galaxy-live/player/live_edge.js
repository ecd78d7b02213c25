/** Keeps playback near the end of what has come: pure, times in seconds. */

const LEAST = 0.35;
const MOST = 3;
const STEP = 0.25;
const FAR = 4;
/** Underruns are forgotten by a step after this long without one. */
const CALM_SECONDS = 30;
const FASTEST = 1.1;
const SLOWEST = 0.95;

export class LiveEdge {
  #target = LEAST;
  #calmSince = 0;

  /** How far behind the end playback should be: more after each time that nothing was left to play. */
  get target() {
    return this.#target;
  }

  underrun(now) {
    this.#target = Math.min(MOST, this.#target + STEP);
    this.#calmSince = now;
  }

  /**
   * @param {number} at where playback is
   * @param {[number, number][]} ranges what is buffered, ascending
   * @returns {{jump?: number, rate: number}} where to go at once, and how fast to play
   */
  follow(at, ranges, now) {
    if (now - this.#calmSince > CALM_SECONDS && this.#target > LEAST) {
      this.#target = Math.max(LEAST, this.#target - STEP);
      this.#calmSince = now;
    }
    const last = ranges.at(-1);
    if (!last) return { rate: 1 };
    const [start, end] = last;
    const edge = Math.max(start, end - this.#target);
    const here = ranges.find(([from, to]) => at >= from - 0.01 && at <= to);
    const stranded = !here || (here !== last && here[1] - at < 0.1); // before a gap, or outside of everything
    if (stranded || end - at > this.#target + FAR) return { jump: edge, rate: 1 };
    const surplus = end - at - this.#target;
    if (surplus > 0.15) return { rate: Math.min(FASTEST, 1 + surplus / 10) };
    return { rate: surplus < -this.#target / 2 ? SLOWEST : 1 };
  }
}
