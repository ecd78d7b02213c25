/**
 * The part of a room's messages that is loaded: one contiguous run, ascending by `pos`, of bounded length, so that a
 * history of any size costs the same. Scrolling loads a page at one end and lets go of the other end.
 */
export const PAGE = 50;
export const MAX_LOADED = 300;

export class MessageWindow {
  items = [];
  atStart = false;
  atEnd = false;
  /** Messages that came in below a window that does not reach the end. */
  newBelow = 0;

  #fetch;
  #generation = 0;
  #loading = { older: null, newer: null };
  /** The last live messages and text changes, for pages that were read before these were written. */
  #recent = [];
  #changes = new Map();

  /** @param fetch `({before?, after?, around?, limit}) => Promise<{messages, more}>` */
  constructor(fetch) {
    this.#fetch = fetch;
  }

  get first() {
    return this.items[0]?.pos ?? null;
  }

  get last() {
    return this.items.at(-1)?.pos ?? null;
  }

  find(pos) {
    const at = this.#indexOf(pos);
    return this.items[at]?.pos === pos ? this.items[at] : undefined;
  }

  async latest() {
    const generation = ++this.#generation;
    const { messages, more } = await this.#fetch({ limit: PAGE });
    if (generation !== this.#generation) return;
    this.atStart = !more;
    this.#reachEnd(messages);
  }

  async around(pos) {
    const generation = ++this.#generation;
    const { messages } = await this.#fetch({ around: pos, limit: PAGE });
    if (generation !== this.#generation) return;
    this.items = messages.map((message) => this.#present(message));
    this.atStart = this.atEnd = false;
  }

  /** Resolves with whether anything was added. Asking twice at once asks the server once. */
  older() {
    return this.#once("older", async (generation) => {
      const { messages, more } = await this.#fetch({ before: this.first, limit: PAGE });
      if (generation !== this.#generation) return false;
      this.items.unshift(...messages.map((message) => this.#present(message)));
      this.atStart = !more;
      if (this.items.length > MAX_LOADED) {
        this.items.length = MAX_LOADED;
        this.atEnd = false;
      }
      return messages.length > 0;
    });
  }

  newer() {
    return this.#once("newer", async (generation) => {
      const { messages, more } = await this.#fetch({ after: this.last, limit: PAGE });
      if (generation !== this.#generation) return false;
      if (more) this.items.push(...messages.map((message) => this.#present(message)));
      else this.#reachEnd([...this.items, ...messages]);
      this.#trimStart();
      return messages.length > 0;
    });
  }

  /** A live message. `following` says that the reader looks at the end, so the far end is the one to let go. */
  add(message, following) {
    this.#recent.push(message);
    if (this.#recent.length > PAGE) this.#recent.shift();
    if (!this.atEnd || (!following && this.items.length >= MAX_LOADED)) {
      this.atEnd = false;
      if (!message.notice) this.newBelow += 1;
      return;
    }
    if (this.last !== null && message.pos <= this.last) return;
    this.items.push(message);
    if (following) this.#trimStart();
  }

  /** Replaces a message by `change(message)`. `lasting` changes are made to later pages too, which may be stale. */
  update(pos, change, lasting = false) {
    if (lasting) {
      this.#changes.set(pos, change);
      if (this.#changes.size > 4 * PAGE) this.#changes.delete(this.#changes.keys().next().value);
    }
    this.#recent = this.#recent.map((message) => (message.pos === pos ? change(message) : message));
    const at = this.#indexOf(pos);
    if (this.items[at]?.pos === pos) this.items[at] = change(this.items[at]);
  }

  /** Changes every loaded message, for example when somebody's name changed. */
  updateAll(change) {
    this.items = this.items.map(change);
    this.#recent = this.#recent.map(change);
  }

  forget() {
    this.#recent = [];
    this.#changes.clear();
  }

  #reachEnd(messages) {
    const last = messages.at(-1)?.pos ?? 0;
    const later = this.#recent.filter((message) => message.pos > last);
    this.items = [...messages.map((message) => this.#present(message)), ...later];
    this.atEnd = true;
    this.newBelow = 0;
  }

  #present(message) {
    return this.#changes.get(message.pos)?.(message) ?? message;
  }

  #trimStart() {
    if (this.items.length <= MAX_LOADED) return;
    this.items.splice(0, this.items.length - MAX_LOADED);
    this.atStart = false;
  }

  #once(direction, load) {
    const generation = this.#generation;
    const running = this.#loading[direction];
    if (running?.generation === generation) return running.promise;
    const promise = load(generation).finally(() => {
      if (this.#loading[direction]?.promise === promise) this.#loading[direction] = null;
    });
    this.#loading[direction] = { generation, promise };
    return promise;
  }

  #indexOf(pos) {
    let [low, high] = [0, this.items.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].pos < pos) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
