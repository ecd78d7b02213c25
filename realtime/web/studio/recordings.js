import { h, keyedList } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { RecordingPages } from "../watch/recording_pages.js";
import { afterLive } from "../watch/recordings.js";
import { recordingRow } from "./recording_row.js";

const PAGE = 8;

/** What was recorded in the room, newest first. */
export function recordingsCard(room) {
  let query = {};
  const list = h("ul.kept", { role: "list" });
  const none = h("p.empty", { hidden: true }, t("recording.none"));
  const heading = h("h2", { tabindex: "-1" }, t("replay.recordings"));
  const change = (type, fields) => room.command(type, fields).then(() => pages.reload());
  const rows = keyedList(list, (recording) => recordingRow(room, recording, query, { change, removed: () => heading.focus() }));
  const pages = new RecordingPages(room, PAGE, list, (recordings, now) => {
    query = now;
    rows(recordings);
    none.hidden = recordings.length > 0;
  });
  pages.load();
  const element = h("section.studio-card.wide", { testid: "recordings", "aria-label": t("replay.recordings") }, heading, h("p.hint", null, t("recording.text")), none, list, pages.more);
  return { element, destroy: afterLive(room, () => pages.load()) };
}
