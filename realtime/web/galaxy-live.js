/**
 * galaxy-live.js: the browser client of the wire protocol `galaxy.v1` (docs/protocol.md).
 *
 * Without dependencies: this file and the folder galaxy-live/ are all an app needs. It reconnects with exponential backoff and full
 * jitter, rejoins its rooms and recovers what they missed, sends each unsent message exactly once (idempotency keys
 * and a persisted outbox), and hands over to a new connection before the old one ends when the server asks for it.
 *
 *     import { GalaxyClient } from "/web/galaxy-live.js";
 *     const client = new GalaxyClient({ url: "wss://chat.example/v1/socket", token: () => fetchMyToken() });
 *     client.on("message.created", (event) => console.log(event.by.name, event.message.text));
 *     client.start();
 *     await client.join("g.lobby");
 *     await client.send("g.lobby", "Hello").done;
 *
 * Types: galaxy-live.d.ts.
 */

import { Emitter, GalaxyError, disconnected, newKey, sleep } from "./galaxy-live/common.js";
import { Link, SUBPROTOCOL } from "./galaxy-live/link.js";
import { Outbox } from "./galaxy-live/outbox.js";

export { Emitter, GalaxyError, Outbox, SUBPROTOCOL, newKey };

/** Close codes 3500 to 3999 say: do not come back by yourself. 3500 alone is worth one fresh token. */
const isFinal = (code) => code >= 3500 && code <= 3999;
const BAD_TOKEN = 3500;
const TOKEN_EXPIRED = 3005;

/** Events about the user, not of a room's log: a `pos` in them names a message. */
const USER_EVENTS = new Set(["user.changed", "mention", "invited", "pending.resolved"]);

const DEFAULTS = {
  backoffMs: 500,
  backoffMaxMs: 30_000,
  pingAfterMs: 30_000,
  pongWithinMs: 10_000,
  connectTimeoutMs: 15_000,
  commandTimeoutMs: 30_000,
  stableAfterMs: 10_000,
  drainMs: 5_000,
  askAfterMs: 20 * 3600_000,
  random: Math.random,
};

export class GalaxyClient extends Emitter {
  #options;
  #link = null;
  #opening = null;
  #replacing = false;
  #state = "offline";
  #stopped = true;
  #attempt = 0;
  #openedAt = 0;
  #triedFreshToken = false;
  #retryTimer = null;
  #retryAt = null;
  #rooms = new Map();
  #onlineWaiters = [];
  #clockAhead = 0;

  /** The last `welcome`, or null before the first. */
  welcome = null;

  /** Unsent messages, see {@link Outbox}. */
  outbox;

  /** @param options see `GalaxyOptions` in galaxy-live.d.ts; `url`, and `token` or `anonymous`, are required. */
  constructor(options) {
    super();
    this.#options = { WebSocket: globalThis.WebSocket, storage: globalThis.localStorage, ...DEFAULTS, ...options };
    this.outbox = new Outbox(this, this.#options);
    if (options.user) this.outbox.load(options.user);
    this.nudge = this.nudge.bind(this);
  }

  /** `connecting`, `catching_up`, `online`, `offline` (waiting to retry) or `closed` (will not retry by itself). */
  get state() {
    return this.#state;
  }

  /** Milliseconds until the next attempt while `offline`, else null. */
  get retryInMs() {
    return this.#retryAt === null ? null : Math.max(0, this.#retryAt - Date.now());
  }

  /** The server's clock, ms since the Unix epoch; right to within the round trip of the last `hello`. */
  now() {
    return Date.now() + this.#clockAhead;
  }

  start() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#attempt = 0;
    globalThis.addEventListener?.("online", this.nudge);
    this.#connect("connect");
  }

  /** Ends the connection for good. What waits for one is rejected with `stopped`; unsent messages stay in storage. */
  stop() {
    this.#close(1000, "stopped");
  }

  /** "The network may be back": reconnects at once when waiting, checks the connection when there is one. */
  nudge() {
    if (this.#retryTimer !== null) this.#connect("connect");
    else this.#link?.check();
  }

  /**
   * Sends a command and resolves with its `ok` reply. With a `key` it outlives disconnections: it is sent again with
   * the same key until there is an answer. Without, it rejects with `disconnected`. `rate_limited` is waited out.
   * @throws {GalaxyError}
   */
  async request(type, fields = {}) {
    for (let limited = 0; ; ) {
      if (fields.key !== undefined && !this.#link?.open) await this.connected(); // else at once, in the order asked
      try {
        return await this.once(type, fields);
      } catch (error) {
        if (error.code === "disconnected" && fields.key !== undefined && !this.#stopped) continue;
        if (error.code !== "rate_limited" || limited++ >= 3) throw error;
        await sleep(error.retry_after_ms ?? 1000);
      }
    }
  }

  /** As `request`, but tried once, on the present connection. */
  once(type, fields = {}) {
    return this.#link ? this.#link.request({ ...fields, type }) : Promise.reject(disconnected(1006));
  }

  /** Sends what needs no reply (`typing`, `read.mark`, `dwell.beat`); dropped while there is no connection. */
  notify(type, fields = {}) {
    this.#link?.post({ ...fields, type });
  }

  /** Resolves once there is a welcomed connection. */
  connected() {
    if (this.#link?.open) return Promise.resolve();
    if (this.#stopped) return Promise.reject(new GalaxyError({ code: "stopped", message: "The client is stopped" }));
    return new Promise((resolve, reject) => this.#onlineWaiters.push({ resolve, reject }));
  }

  /** Listens to a room until `leave`, across reconnections. Resolves with the reply of the first `room.join`. */
  async join(room) {
    let joined = this.#rooms.get(room);
    if (!joined) this.#rooms.set(room, (joined = { room, epoch: null, pos: 0, ongoing: null }));
    for (;;) {
      await this.connected();
      const reply = await (joined.ongoing ?? this.#join(this.#link, joined));
      if (reply) return reply;
      if (this.#rooms.get(room) !== joined) throw joined.error ?? new GalaxyError({ code: "stopped" });
    }
  }

  leave(room) {
    if (this.#rooms.delete(room)) this.#link?.request({ type: "room.leave", room }).catch((error) => this.#report(error));
  }

  get rooms() {
    return [...this.#rooms.keys()];
  }

  /** Puts a message in the outbox: kept over reloads, sent in order, once. */
  send(room, text, { replyTo } = {}) {
    return this.outbox.add(room, text, replyTo);
  }

  // ---- the connection

  async #connect(reason) {
    this.#cancelRetry();
    this.#setState("connecting");
    try {
      const { link, welcome } = await this.#open(reason);
      if (this.#stopped) link.end(1000, "stopped");
      else this.#adopt(link, welcome);
    } catch (error) {
      if (!this.#stopped) this.#failed(error);
    }
  }

  async #open(reason) {
    const { anonymous } = this.#options;
    const token = anonymous ? undefined : await this.#options.token(reason);
    if (!anonymous && typeof token !== "string") throw disconnected(BAD_TOKEN);
    const link = new Link(this.#options, {
      event: (from, object) => this.#event(from, object),
      closed: (from, code, why) => this.#closed(from, code, why),
    });
    this.#opening = link;
    const welcome = await link.hello(token).finally(() => (this.#opening = null));
    return { link, welcome };
  }

  #adopt(link, welcome) {
    this.#link = link;
    this.#openedAt = Date.now();
    this.#triedFreshToken = false;
    this.welcome = welcome;
    this.#clockAhead = welcome.server_time - this.#openedAt;
    this.outbox.load(welcome.user.id);
    this.emit("welcome", welcome);
    const joins = [...this.#rooms.values()].map((joined) => this.#join(link, joined));
    this.#setState(joins.length > 0 ? "catching_up" : "online");
    Promise.all(joins).then(() => this.#link === link && this.#setState("online"));
    for (const { resolve } of this.#onlineWaiters.splice(0)) resolve();
    this.outbox.pumpAll();
  }

  #closed(link, code, reason) {
    if (link !== this.#link) return; // one that never opened, or one that has been replaced
    this.#link = null;
    if (Date.now() - this.#openedAt >= this.#options.stableAfterMs) this.#attempt = 0;
    if (this.#replacing) this.#setState("connecting");
    else this.#failed(Object.assign(disconnected(code), { reason }));
  }

  #failed(error) {
    const code = error.status;
    if (code === undefined) this.#report(error); // the app's token function threw
    if (code === BAD_TOKEN && !this.#triedFreshToken) {
      this.#triedFreshToken = true;
      this.#connect("rejected");
    } else if (isFinal(code)) {
      this.#close(code, error.reason);
    } else if (code === TOKEN_EXPIRED && this.#attempt++ === 0) {
      this.#connect("expired");
    } else {
      const ceiling = Math.min(this.#options.backoffMaxMs, this.#options.backoffMs * 2 ** this.#attempt++);
      const delay = this.#options.random() * ceiling;
      this.#retryAt = Date.now() + delay;
      this.#retryTimer = setTimeout(() => this.#connect(code === TOKEN_EXPIRED ? "expired" : "connect"), delay);
      this.#setState("offline", { delayMs: delay });
    }
  }

  #close(code, reason) {
    this.#stopped = true;
    this.#cancelRetry();
    globalThis.removeEventListener?.("online", this.nudge);
    const links = [this.#link, this.#opening];
    this.#link = this.#opening = null;
    for (const link of links) link?.end(1000, "stopped");
    const stopped = new GalaxyError({ code: "stopped", message: "The client is stopped" });
    for (const { reject } of this.#onlineWaiters.splice(0)) reject(stopped);
    this.#setState("closed", { code, reason });
  }

  #cancelRetry() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = this.#retryAt = null;
  }

  #setState(state, detail = {}) {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", { state, ...detail });
  }

  #report(error) {
    this.emit("error", error);
  }

  /** The server is going away: the new connection first, so that nobody sees a gap, then the old one ends. */
  async #replace(old) {
    if (this.#link !== old || this.#replacing) return;
    this.#replacing = true;
    try {
      const { link, welcome } = await this.#open("connect");
      if (this.#stopped) return link.end(1000, "stopped");
      this.#adopt(link, welcome);
      old.drain(this.#options.drainMs);
    } catch (error) {
      if (!this.#link && !this.#stopped) this.#failed(error); // else the old one is still good; its end reconnects
    } finally {
      this.#replacing = false;
    }
  }

  async #refresh(link) {
    try {
      await link.request({ type: "refresh", token: await this.#options.token("refresh") });
    } catch (error) {
      this.#report(error); // the connection will end with 3005, and a fresh token is asked for then
    }
  }

  // ---- rooms

  /** Joins, or recovers with `since`. Resolves with the reply; with null where it must be tried again or is over. */
  #join(link, joined) {
    const ongoing = this.#tryJoin(link, joined).finally(() => joined.ongoing === ongoing && (joined.ongoing = null));
    return (joined.ongoing = ongoing);
  }

  async #tryJoin(link, joined) {
    const { room, epoch, pos } = joined;
    const since = epoch === null ? undefined : { epoch, pos };
    try {
      return await link.request({ type: "room.join", room, since }, (reply) => this.#joined(link, joined, reply, since));
    } catch (error) {
      if (error.code === "disconnected" || this.#rooms.get(room) !== joined) return null;
      if (error.retry) {
        await sleep(error.retry_after_ms ?? 1000);
        return this.#link === link && this.#rooms.get(room) === joined ? this.#tryJoin(link, joined) : null;
      }
      joined.error = error;
      this.#rooms.delete(room);
      if (since) this.emit("room.removed", { type: "room.removed", room, code: error.code });
      return null;
    }
  }

  /** Runs in the task that receives the reply, so that the recovered events come before those that follow it. */
  #joined(link, joined, reply, since) {
    if (link !== this.#link || this.#rooms.get(joined.room) !== joined) return;
    joined.ongoing = null;
    for (const event of reply.recovered ? reply.events : []) this.#deliver(joined, event);
    joined.epoch = reply.epoch;
    joined.pos = reply.recovered ? Math.max(joined.pos, reply.pos) : reply.pos;
    this.emit("joined", { room: joined.room, recovered: reply.recovered, reply });
    if (since && !reply.recovered) this.emit("reset", { room: joined.room, reply });
  }

  #event(link, event) {
    if (event.type === "reconnect") {
      setTimeout(() => this.#replace(link), this.#options.random() * event.within_ms);
    } else if (event.type === "token.expiring") {
      this.#refresh(link);
    } else if (event.type === "error") {
      this.#report(new GalaxyError(event));
    } else if (link === this.#link) {
      this.#roomEvent(link, event);
    }
  }

  #roomEvent(link, event) {
    const joined = this.#rooms.get(event.room);
    if (event.type === "room.removed") {
      this.#rooms.delete(event.room);
      this.emit("room.removed", event);
    } else if (event.type === "room.reset" && joined) {
      joined.epoch = event.epoch;
      joined.pos = event.pos;
      this.emit("reset", { room: event.room });
    } else if (USER_EVENTS.has(event.type) || (event.pos === undefined && event.type !== "room.skip")) {
      this.#emitEvent(event);
    } else if (joined && !this.#deliver(joined, event) && !joined.ongoing) {
      this.#join(link, joined); // an unannounced hole: what was missed comes with the recovery
    }
  }

  /** Hands a logged event on, once and in order. Returns false where one before it is missing. */
  #deliver(joined, event) {
    const [from, to] = event.type === "room.skip" ? [event.from, event.to] : [event.pos, event.pos];
    if (to <= joined.pos) return true;
    if (from > joined.pos + 1) return false;
    joined.pos = to;
    if (event.type !== "room.skip") this.#emitEvent(event);
    return true;
  }

  #emitEvent(event) {
    this.emit(event.type, event);
    this.emit("event", event);
  }
}
