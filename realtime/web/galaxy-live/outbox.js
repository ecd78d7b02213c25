import { Emitter, GalaxyError, newKey, sleep } from "./common.js";

const OUTBOX_PREFIX = "galaxy-live.outbox.";
const OUTBOX_MAX = 200;
const SEND_TRIES = 6;

/**
 * Messages on their way. An entry is `{key, room, text, reply_to?, created, state, error?, done}`; `state` is `queued`,
 * `sending`, `failed` (see `error`) or `ask` (so old that the server may have forgotten its key: the user decides).
 * Emits `change {room}` and `sent {entry, reply}`. One entry is one item of the storage, so tabs do not overwrite each
 * other; two tabs sending the same entry is harmless, for the key is the same.
 */
export class Outbox extends Emitter {
  #client;
  #options;
  #user = null;
  #order = 0;
  #entries = new Map();
  #busy = new Set();

  constructor(client, options) {
    super();
    this.#client = client;
    this.#options = options;
    globalThis.addEventListener?.("storage", (event) => {
      const key = event.key?.startsWith(this.#item("")) ? event.key.slice(this.#item("").length) : null;
      const entry = this.#entries.get(key);
      if (entry && event.newValue === null && entry.state !== "sending") this.#remove(entry);
    });
  }

  /** Takes up what an earlier page of this user left. Another user's messages are never touched. */
  load(user) {
    if (user === this.#user) return;
    const unowned = this.#user === null ? [...this.#entries.values()] : [];
    this.#user = user;
    this.#entries = new Map(unowned.map((entry) => [entry.key, entry]));
    const { storage } = this.#options;
    const stored = [];
    for (let index = 0; index < (storage?.length ?? 0); index++) {
      const name = storage.key(index);
      if (name.startsWith(this.#item(""))) stored.push(JSON.parse(storage.getItem(name)));
    }
    for (const entry of stored.sort((a, b) => a.order - b.order)) {
      this.#order = Math.max(this.#order, entry.order);
      this.#track({ ...entry, state: "queued" });
    }
    unowned.forEach((entry) => this.#persist(entry));
    this.pumpAll();
  }

  /** All entries in the order of sending, or one room's. */
  list(room) {
    const all = [...this.#entries.values()];
    return room === undefined ? all : all.filter((entry) => entry.room === room);
  }

  /** @throws {GalaxyError} `too_many` above 200 unsent messages */
  add(room, text, replyTo) {
    if (this.#entries.size >= OUTBOX_MAX) throw new GalaxyError({ code: "too_many", message: "Too many unsent messages" });
    const now = Date.now();
    this.#order = Math.max(now, this.#order + 1); // two may come within one millisecond, and clocks are set back
    const entry = this.#track({ key: newKey(), room, text, reply_to: replyTo, created: now, order: this.#order, state: "queued" });
    this.#persist(entry);
    this.#changed(entry);
    this.#pump(room);
    return entry;
  }

  /** Sends a `failed` entry again, or an `ask` entry all the same. */
  retry(key) {
    const entry = this.#entries.get(key);
    if (!entry || (entry.state !== "failed" && entry.state !== "ask")) return;
    if (entry.state === "ask") entry.created = Date.now();
    this.#promise(entry);
    this.#set(entry, { state: "queued", error: undefined, tries: 0 });
    this.#persist(entry);
    this.#pump(entry.room);
  }

  /** Forgets an entry that is not being sent at this moment. Returns whether it did. */
  cancel(key) {
    const entry = this.#entries.get(key);
    if (!entry || entry.state === "sending") return false;
    this.#remove(entry);
    entry.settle.reject(new GalaxyError({ code: "stopped", message: "Cancelled" }));
    return true;
  }

  pumpAll() {
    for (const room of new Set(this.list().map((entry) => entry.room))) this.#pump(room);
  }

  /** One message of a room at a time: the next is sent when the one before has its answer, so order is kept. */
  async #pump(room) {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    try {
      for (;;) {
        await this.#client.connected();
        const entry = this.list(room).find(({ state }) => state === "queued");
        if (!entry) return;
        if (Date.now() - entry.created > this.#options.askAfterMs) this.#set(entry, { state: "ask" });
        else await this.#attempt(entry);
      }
    } catch (error) {
      if (error.code !== "stopped") throw error;
    } finally {
      this.#busy.delete(room);
    }
  }

  async #attempt(entry) {
    const { room, text, reply_to, key } = entry;
    this.#set(entry, { state: "sending" });
    try {
      const reply = await this.#client.once("message.send", { room, text, reply_to, key });
      this.#remove(entry, () => this.emit("sent", { entry, reply }));
      entry.settle.resolve(reply);
    } catch (error) {
      if (error.code === "disconnected") return this.#set(entry, { state: "queued" });
      entry.tries = (entry.tries ?? 0) + 1;
      const soon = (error.retry_after_ms ?? 0) <= 60_000;
      const passing = ["rate_limited", "unavailable", "internal", "timeout"].includes(error.code) && error.retry && soon;
      if (!passing || entry.tries >= SEND_TRIES) return this.#set(entry, { state: "failed", error });
      await sleep(error.retry_after_ms ?? 500 * 2 ** entry.tries);
      this.#set(entry, { state: "queued" });
    }
  }

  #promise(entry) {
    entry.done = new Promise((resolve, reject) => (entry.settle = { resolve, reject }));
    entry.done.catch(() => {}); // whoever does not await `done` learns of failure by `state`
  }

  #track(entry) {
    this.#promise(entry);
    this.#entries.set(entry.key, entry);
    return entry;
  }

  #set(entry, changes) {
    Object.assign(entry, changes);
    if (changes.state === "failed") entry.settle.reject(entry.error);
    this.#changed(entry);
  }

  #remove(entry, before) {
    this.#entries.delete(entry.key);
    this.#options.storage?.removeItem(this.#item(entry.key));
    before?.();
    this.#changed(entry);
  }

  #changed(entry) {
    this.emit("change", { room: entry.room, entry });
  }

  #item(key) {
    return `${OUTBOX_PREFIX}${encodeURIComponent(this.#user ?? "")}.${key}`;
  }

  #persist({ key, room, text, reply_to, created, order }) {
    if (this.#user === null) return;
    try {
      this.#options.storage?.setItem(this.#item(key), JSON.stringify({ key, room, text, reply_to, created, order }));
    } catch (error) {
      this.#client.emit("error", error); // storage full or forbidden: the message still goes out while the page lives
    }
  }
}
