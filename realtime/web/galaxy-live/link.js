import { GalaxyError, disconnected } from "./common.js";

export const SUBPROTOCOL = "galaxy.v1.json";

/** One WebSocket: commands matched with replies, and a watch for a peer that fell silent. */
export class Link {
  #socket;
  #options;
  #handlers;
  #nextId = 1;
  #inflight = new Map();
  #heardAt = Date.now();
  #timer = null;
  #pinging = false;
  #ended = false;
  #welcomed = null;
  #draining = false;

  /** @param handlers {{event(link, object): void, closed(link, code: number, reason: string): void}} */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#socket = new options.WebSocket(options.url, [SUBPROTOCOL]);
    this.#socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason);
    this.#timer = setTimeout(() => this.end(1006, "no welcome"), options.connectTimeoutMs);
  }

  /** Opens, says hello (without a token: anonymously), and resolves with the `welcome`. Rejects with `disconnected` (and the close `status`). */
  hello(token) {
    this.#socket.onopen = () => this.#write({ type: "hello", id: this.#nextId++, token });
    return new Promise((resolve, reject) => (this.#welcomed = { resolve, reject }));
  }

  get open() {
    return !this.#ended && this.#socket.readyState === 1;
  }

  /** @param onReply called in the very task that receives the `ok`, before any later event is handled. */
  request(command, onReply) {
    if (!this.open) return Promise.reject(disconnected(1006));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#inflight.delete(id);
        reject(new GalaxyError({ code: "timeout", message: "No answer from the server", retry: true }));
      }, this.#options.commandTimeoutMs);
      this.#inflight.set(id, { resolve, reject, onReply, timer });
      this.#write({ ...command, id });
    });
  }

  post(command) {
    if (this.open) this.#write(command);
  }

  /** Asks for a sign of life at once, for example when the browser says that the network came back. */
  check() {
    if (!this.open || this.#pinging) return;
    this.#pinging = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(1006, "no answer to ping"), this.#options.pongWithinMs);
    this.#write({ type: "ping", id: this.#nextId++ });
  }

  /** Lets the commands in flight finish, then closes. */
  drain(withinMs) {
    this.#draining = true;
    if (this.#inflight.size === 0) this.end(1000, "replaced");
    else setTimeout(() => this.end(1000, "replaced"), withinMs);
  }

  /** Ends now. A dead peer never answers the closing handshake, so nobody waits for it. */
  end(code, reason) {
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onopen = null;
    this.#socket.close(1000);
    this.#end(code, reason);
  }

  #write(object) {
    this.#socket.send(JSON.stringify(object));
  }

  #watch() {
    clearTimeout(this.#timer);
    const silentFor = Date.now() - this.#heardAt;
    if (silentFor >= this.#options.pingAfterMs) this.check();
    else this.#timer = setTimeout(() => this.#watch(), this.#options.pingAfterMs - silentFor);
  }

  #receive(object) {
    this.#heardAt = Date.now();
    if (this.#pinging) {
      this.#pinging = false;
      this.#watch();
    }
    if (object.type === "welcome") {
      this.#watch();
      this.#welcomed?.resolve(object);
      this.#welcomed = null;
    } else if (object.id !== undefined && (object.type === "ok" || object.type === "error")) {
      this.#reply(object);
    } else {
      this.#handlers.event(this, object);
    }
  }

  #reply(object) {
    const waiting = this.#inflight.get(object.id);
    if (!waiting) return; // the answer to a ping, or to a command that has timed out
    this.#inflight.delete(object.id);
    clearTimeout(waiting.timer);
    if (object.type === "error") waiting.reject(new GalaxyError(object));
    else {
      waiting.onReply?.(object);
      waiting.resolve(object);
    }
    if (this.#draining && this.#inflight.size === 0) this.end(1000, "replaced");
  }

  #end(code, reason) {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#welcomed?.reject(disconnected(code));
    for (const { reject, timer } of this.#inflight.values()) {
      clearTimeout(timer);
      reject(disconnected(code));
    }
    this.#inflight.clear();
    this.#handlers.closed(this, code, reason);
  }
}
