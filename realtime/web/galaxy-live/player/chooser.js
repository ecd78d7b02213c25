/** Which way of watching to take: pure, time is an argument. */

/** From the quickest to the surest. */
export const WAYS = ["whep", "stream", "hls"];

const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 600_000;
const RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15_000;

/**
 * A way that fails rests, each time for twice as long; the best one that does not rest is taken. Where all rest, the one
 * that is rested first is tried again after a moment. What somebody chose by hand is never left.
 */
export class Chooser {
  #ways;
  #resting = new Map();
  #failures = new Map();
  #inRow = 0;
  #chosen = null;

  constructor(ways = WAYS) {
    this.#ways = ways;
  }

  get ways() {
    return this.#ways;
  }

  /** What was chosen by hand, or null. */
  get chosen() {
    return this.#chosen;
  }

  /** By hand; null leaves it to the player again. Forgets all failures. */
  choose(way) {
    this.#chosen = way;
    this.#resting.clear();
    this.#failures.clear();
    this.#inRow = 0;
  }

  /** The way to begin with. */
  first(now) {
    return this.#chosen ?? this.#best(now) ?? this.#soonest();
  }

  /** This way has failed. @returns {{way: string, afterMs: number}} what to do next */
  failed(way, now) {
    this.#inRow += 1;
    const failures = (this.#failures.get(way) ?? 0) + 1;
    this.#failures.set(way, failures);
    this.#resting.set(way, now + Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** (failures - 1)));
    const next = this.#chosen ?? this.#best(now);
    const again = this.#chosen !== null || next === null;
    const afterMs = again ? Math.min(LONGEST_RETRY_MS, RETRY_MS * 2 ** (this.#inRow - 1)) : 0;
    return { way: next ?? this.#soonest(), afterMs };
  }

  /** Something plays: what fails next is a new story. */
  plays() {
    this.#inRow = 0;
  }

  /** A better way than the present one, rested by now; or null. */
  better(way, now) {
    if (this.#chosen !== null) return null;
    const best = this.#best(now);
    return best !== null && this.#ways.indexOf(best) < this.#ways.indexOf(way) ? best : null;
  }

  #best(now) {
    return this.#ways.find((way) => (this.#resting.get(way) ?? 0) <= now) ?? null;
  }

  #soonest() {
    return [...this.#ways].sort((a, b) => (this.#resting.get(a) ?? 0) - (this.#resting.get(b) ?? 0))[0];
  }
}
