import { fill, h } from "../lib/dom.js";
import { clock, shortTime, t } from "../lib/i18n.js";
import { withQuery } from "../galaxy-live/player/addresses.js";
import { mediaQuery } from "./media.js";

const SHOWN = 12;

/** What was recorded here, newest first; hidden where there is nothing. Who has no name is not told. */
export class RecordingList {
  #room;
  #offs;
  #live;

  constructor(room) {
    this.#room = room;
    this.#live = room.live !== null;
    this.list = h("ul.recording-list", { role: "list" });
    this.element = h("section.recordings", { testid: "recordings", hidden: true, "aria-label": t("replay.recordings") }, h("h2", null, t("replay.recordings")), this.list);
    this.rows = [];
    this.#offs = [room.on("change", () => this.#follow())];
  }

  destroy() {
    this.#offs.forEach((off) => off());
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

  #row({ id, title, started_at, length_ms, poster }, query) {
    const picture = h("img", { src: withQuery(poster, query).href, alt: "", loading: "lazy", onerror: () => picture.remove() });
    return h("li", null, h("a.recording", { href: `#recording/${encodeURIComponent(id)}`, testid: "recording", data: { id } },
      h("span.recording-picture", null, picture, h("span.recording-length", null, clock(length_ms))),
      h("b", { dir: "auto" }, h("bdi", null, title)), h("small", null, shortTime(started_at))));
  }

  /** A stream that has ended will be a recording. */
  #follow() {
    const live = this.#room.live !== null;
    if (this.#live && !live) setTimeout(() => this.load().catch((error) => this.#room.client.emit("error", error)), 2000);
    this.#live = live;
  }
}
