import { h, keyedList } from "../lib/dom.js";
import { clock, shortTime, t } from "../lib/i18n.js";
import { withQuery } from "../galaxy-live/player/addresses.js";
import { RecordingPages } from "./recording_pages.js";

const PAGE = 12;
const FINISHED_AFTER_MS = 2000;

/**
 * A recording's poster, where there is one, and how long it is. `query`: who looks. A ticket lasts a minute, so the
 * poster is fetched at once, and not when somebody scrolls there.
 */
export function recordingPicture({ poster, length_ms }, query) {
  const picture = h("img", { src: withQuery(poster, query).href, alt: "", onerror: () => picture.remove() });
  return h("span.recording-picture", null, picture, h("span.recording-length", null, clock(length_ms)));
}

/** Calls `run` when a stream has ended and will be a recording. @returns {() => void} ends that */
export function afterLive(room, run) {
  let live = room.live !== null;
  let timer = null;
  const off = room.on("change", () => {
    const before = live;
    live = room.live !== null;
    if (before && !live) timer = setTimeout(run, FINISHED_AFTER_MS);
  });
  return () => {
    off();
    clearTimeout(timer);
  };
}

/** What was recorded here, newest first; hidden where there is nothing. Who has no name is not told. */
export class RecordingList {
  #room;
  #off;
  #pages;
  #query = {};

  constructor(room) {
    this.#room = room;
    const list = h("ul.recording-list", { role: "list" });
    const drawn = keyedList(list, (recording) => this.#row(recording));
    this.#pages = new RecordingPages(room, PAGE, list, (recordings, query) => {
      this.#query = query;
      this.rows = recordings.filter(({ state }) => state !== "hidden");
      this.element.hidden = recordings.length === 0;
      drawn(this.rows);
    });
    this.element = h("section.recordings", { testid: "recordings", hidden: true, "aria-label": t("replay.recordings") }, h("h2", null, t("replay.recordings")), list, this.#pages.more);
    this.rows = [];
    this.#off = afterLive(room, () => this.load());
  }

  destroy() {
    this.#off();
  }

  async load() {
    if (this.#room.anonymous) return;
    await this.#pages.load();
    if (this.#pages.shown === null) this.element.hidden = false; // it can be tried again
  }

  /** Those down to this one are in `rows`, where there is such a one. */
  async find(id) {
    if (this.#pages.shown !== null) await this.#pages.find(id);
  }

  #row(first) {
    const { id, started_at } = first;
    const name = h("bdi");
    const element = h("li", null, h("a.recording", { href: `#recording/${id}`, testid: "recording", data: { id } },
      recordingPicture(first, this.#query), h("b", { dir: "auto" }, name), h("small", null, shortTime(started_at))));
    return { element, draw: ({ title }) => (name.textContent = title) };
  }
}
