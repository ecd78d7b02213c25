import { replayPage } from "../lib/addresses.js";
import { fill, h } from "../lib/dom.js";
import { clock, shortTime, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";
import { recordingAddress } from "./media.js";

const SHOWN = 12;

/** The room's last recordings, as cards. */
export function recordingsView(room, present = null) {
  const list = h("ul.recording-cards", { role: "list" });
  const more = h("button.plain", { type: "button", hidden: true }, t("browse.more"));
  const element = h("section.recordings", { "aria-label": t("watch.recordings"), testid: "recordings", hidden: true }, h("h2", null, t("watch.recordings")), list, more);

  async function load(cursor) {
    const reply = await room.command("recording.list", { limit: SHOWN, cursor });
    const cards = reply.recordings.map((recording) => card(room, recording, recording.recording === present));
    if (cursor) list.append(...cards);
    else fill(list, cards);
    element.hidden = list.childElementCount === 0;
    more.hidden = !reply.cursor;
    more.onclick = () => attempt(() => load(reply.cursor));
  }

  return { element, load };
}

function card(room, { recording, title, started_at, length_ms, poster }, here) {
  const picture = h("img", { src: poster ?? recordingAddress(room, recording, "poster.webp"), alt: "", loading: "lazy", onerror: () => picture.remove() });
  return h("li", null, h("a.recording", { href: replayPage(room.id, recording), testid: "recording", data: { recording }, "aria-current": here ? "true" : null },
    h("span.recording-picture", null, icon("film"), picture, h("span.recording-length", null, clock(length_ms))),
    h("b", { dir: "auto" }, h("bdi", null, title)), h("small", null, shortTime(started_at))));
}
