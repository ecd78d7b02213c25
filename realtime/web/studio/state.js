import { Emitter, newKey } from "../galaxy-live.js";

/**
 * What the room's stream is to its creator, a test included, of which the room's log says nothing. Emits `change`.
 * `stream` is as `live.get` has it.
 */
export class StreamState extends Emitter {
  stream = { state: "idle", title: "", mature: false, test: false };
  #room;
  #offs;
  #seen = null;
  #asking = null;
  #again = false;

  constructor(room) {
    super();
    this.#room = room;
    this.#offs = [room.on("change", () => this.#follow()), room.on("health", () => !this.publishing && this.refresh())];
    this.#follow();
  }

  destroy() {
    this.#offs.forEach((off) => off());
  }

  /** Whether somebody publishes, or may come back to. */
  get publishing() {
    return this.stream.state === "flowing" || this.stream.state === "interrupted";
  }

  /** @throws {GalaxyError} */
  async start(fields = {}) {
    await this.#room.command("live.start", { ...fields, key: newKey() });
    await this.refresh();
  }

  /** @throws {GalaxyError} */
  async stop() {
    await this.#room.command("live.stop", { key: newKey() });
    await this.refresh();
  }

  /** Asks anew; what is asked meanwhile is asked once more after it. */
  async refresh() {
    if (this.#asking) {
      this.#again = true;
      return this.#asking;
    }
    this.#asking = this.#ask();
    return this.#asking;
  }

  async #ask() {
    try {
      do {
        this.#again = false;
        this.stream = (await this.#room.command("live.get")).stream;
        this.emit("change");
      } while (this.#again);
    } catch (error) {
      if (error.code !== "disconnected") this.#room.client.emit("error", error); // asked again after the rejoin
    } finally {
      this.#asking = null;
    }
  }

  #follow() {
    const { live } = this.#room;
    const seen = JSON.stringify(live && [live.since, live.title, live.category, live.mature, live.interrupted]);
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.refresh();
    } else this.emit("change");
  }
}
