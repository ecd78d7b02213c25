import { fill, h } from "../lib/dom.js";
import { clock, shortTime, t } from "../lib/i18n.js";
import { withQuery } from "../galaxy-live/player/addresses.js";
import { mediaQuery } from "./media.js";

const SHOWN = 12;
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

  constructor(room) {
    this.#room = room;
    this.list = h("ul.recording-list", { role: "list" });
    this.element = h("section.recordings", { testid: "recordings", hidden: true, "aria-label": t("replay.recordings") }, h("h2", null, t("replay.recordings")), this.list);
    this.rows = [];
    this.#off = afterLive(room, () => this.load().catch((error) => room.client.emit("error", error)));
  }

  destroy() {
    this.#off();
  }

  /** Reads the list. @throws {GalaxyError} */
  async load() {
    if (this.#room.anonymous) return;
    const { recordings } = await this.#room.command("recording.list", { limit: SHOWN });
    this.rows = recordings.filter(({ state }) => state !== "hidden");
    this.element.hidden = this.rows.length === 0;
    const query = this.rows.length > 0 ? await mediaQuery(this.#room)() : {};
    fill(this.list, this.rows.map((row) => this.#row(row, query)));
  }

  #row(recording, query) {
    const { id, title, started_at } = recording;
    return h("li", null, h("a.recording", { href: `#recording/${encodeURIComponent(id)}`, testid: "recording", data: { id } },
      recordingPicture(recording, query),
      h("b", { dir: "auto" }, h("bdi", null, title)), h("small", null, shortTime(started_at))));
  }
}
