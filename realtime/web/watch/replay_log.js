/** The comments and tips of a recording, read from the room's log as its time passes. */

const PAGE = 200;
/** How far ahead of what is shown is read, and how many rows are kept behind it. */
const AHEAD_MS = 30_000;
const KEPT = 200;
/** A leap further than this is looked up, not read through. */
const LEAP_MS = 120_000;

export class ReplayLog {
  #fetch;
  #first;
  #last;
  #items = [];
  #gone = new Set();
  /** What was read: positions after `#from`, up to `#next`; its newest was at `#readTo`. */
  #next;
  #from;
  #readTo = 0;
  #ended = false;
  #turn = Promise.resolve();

  /**
   * @param fetch `({after?, before?, limit}) => Promise<{events, more}>` as `room.events`
   * @param {{first_pos: number, last_pos?: number}} bounds of the recording
   */
  constructor(fetch, { first_pos, last_pos = Infinity }) {
    this.#fetch = fetch;
    this.#first = first_pos;
    this.#last = last_pos;
    this.#from = this.#next = first_pos - 1;
  }

  /** Those that had come by then (ms since the Unix epoch), oldest first. Calls are answered in turn. */
  at(time) {
    const mine = this.#turn.then(() => this.#upTo(time));
    this.#turn = mine.catch(() => {});
    return mine;
  }

  async #upTo(time) {
    const start = this.#items[0]?.at ?? this.#readTo;
    const before = this.#from >= this.#first && time < start;
    if (before || (!this.#ended && time > this.#readTo + LEAP_MS && this.#readTo > 0)) await this.#seek(time);
    while (!this.#ended && this.#readTo < time + AHEAD_MS) await this.#read();
    const shown = this.#items.filter(({ at, pos }) => at <= time && !this.#gone.has(pos)).slice(-KEPT);
    return shown;
  }

  /** The next page. */
  async #read() {
    const { events, more } = await this.#fetch({ after: this.#next, limit: PAGE });
    const mine = events.filter(({ pos }) => pos === undefined || pos <= this.#last);
    this.#take(mine);
    this.#next = mine.at(-1)?.pos ?? mine.at(-1)?.to ?? this.#next;
    this.#readTo = mine.at(-1)?.at ?? this.#readTo;
    this.#ended = !more || mine.length < events.length || mine.length === 0;
  }

  /** Halves the log until the page is found at whose end this time is; then begins anew there. */
  async #seek(time) {
    let [low, high] = [this.#first - 1, this.#last];
    if (high === Infinity) high = (await this.#fetch({ limit: 1 })).events.at(-1)?.pos ?? low;
    while (high - low > PAGE) {
      const middle = Math.floor((low + high) / 2);
      const [event] = (await this.#fetch({ after: middle, limit: 1 })).events;
      if (event?.at <= time) low = middle;
      else high = middle;
    }
    this.#items = [];
    this.#from = this.#next = Math.max(this.#first - 1, low - KEPT);
    this.#readTo = 0;
    this.#ended = false;
  }

  #take(events) {
    for (const event of events) {
      if (event.type === "message.created" && event.message) this.#items.push({ pos: event.pos, at: event.at, by: event.by, ...event.message });
      else if (event.type === "tip.settled") this.#items.push({ pos: event.pos, at: event.at, by: event.by, tip: { amount: event.amount, asset: event.asset, text: event.text } });
      else if (event.type === "message.deleted") this.#gone.add(event.target);
    }
  }
}
