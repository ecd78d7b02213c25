/** What the parts of the client share. */

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const hex = (number, digits) => number.toString(16).padStart(digits, "0");

/**
 * A key for a command's `key` field. Never used twice: 80 random bits after the time, so that the server's index takes
 * keys in their order.
 */
export function newKey() {
  return hex(Date.now(), 12) + Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => hex(byte, 2)).join("");
}

/** An error reply of the server, or one of the client's own codes: `disconnected`, `timeout`, `stopped`. */
export class GalaxyError extends Error {
  /** @param {{code: string, message?: string, retry?: boolean, retry_after_ms?: number, field?: string}} reply */
  constructor({ code, message, retry = false, retry_after_ms, field }) {
    super(message ?? code);
    this.name = "GalaxyError";
    this.code = code;
    this.retry = retry;
    this.retry_after_ms = retry_after_ms;
    this.field = field;
  }
}

/** `on(name, listener)` returns the function that takes the listener off again. */
export class Emitter {
  #listeners = new Map();

  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.#listeners.get(name).delete(listener);
  }

  emit(name, detail) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(detail);
      } catch (error) {
        reportError(error); // one faulty listener must not stop the delivery of what follows
      }
    }
  }
}

/** The error of a command whose connection is gone; `status` is the close code. */
export function disconnected(status) {
  return Object.assign(new GalaxyError({ code: "disconnected", message: "Not connected", retry: true }), { status });
}
