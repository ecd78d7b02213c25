import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { attempt } from "../lib/toast.js";
import { mediaQuery } from "./media.js";

const MOST_ASKED = 200;

/**
 * A room's recordings, newest first, `size` at a time. `draw(recordings, query)` shows them as the children of `list`;
 * `query` says who looks. The button `more` shows the next, or tries again. `shown` is null until some have come.
 */
export class RecordingPages {
  #room;
  #size;
  #list;
  #draw;
  #cursor;
  #turn = Promise.resolve();

  constructor(room, size, list, draw) {
    [this.#room, this.#size, this.#list, this.#draw] = [room, size, list, draw];
    this.shown = null;
    this.more = h("button.plain.small.recording-more", { type: "button", testid: "recording-more", hidden: true, onclick: () => this.#showMore() });
  }

  /** Reads the list anew, as far as it is shown. What fails is said, and can be tried again. */
  load() {
    return this.#attempted(() => this.reload());
  }

  /** As `load`. @throws {GalaxyError} */
  reload() {
    return this.#inTurn(async () => {
      const { found, next } = await this.#read(Math.max(this.#size, this.shown?.length ?? 0));
      await this.#show(found, next);
    });
  }

  /** Shows as many as there are down to this one. */
  find(id) {
    return this.#attempted(async () => {
      while (this.#cursor && !this.shown.some((one) => one.id === id)) await this.#append(MOST_ASKED);
    });
  }

  #append(count) {
    return this.#inTurn(async () => {
      const { found, next } = await this.#read(count, this.#cursor);
      await this.#show([...this.shown, ...found], next);
    });
  }

  async #read(count, from) {
    const found = [];
    do {
      const page = await this.#room.command("recording.list", { limit: Math.min(MOST_ASKED, count - found.length), ...(from && { cursor: from }) });
      found.push(...page.recordings);
      from = page.cursor;
    } while (from && found.length < count);
    return { found, next: from };
  }

  async #show(recordings, next) {
    this.#draw(recordings, recordings.length > 0 ? await mediaQuery(this.#room)() : {});
    [this.shown, this.#cursor] = [recordings, next];
  }

  /** One reading after the other: an older answer never replaces a newer one. */
  #inTurn(work) {
    return (this.#turn = this.#turn.then(work, work));
  }

  async #attempted(work) {
    await attempt(work);
    this.more.hidden = this.shown !== null && !this.#cursor;
    this.more.textContent = t(this.shown === null ? "pending.retry" : "browse.more");
  }

  async #showMore() {
    const at = this.#list.children.length;
    await (this.shown === null ? this.load() : this.#attempted(() => this.#append(this.#size)));
    if (this.more.hidden) this.#list.children[at]?.querySelector("input, button, a")?.focus();
  }
}
