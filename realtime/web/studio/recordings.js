import { h, keyedList } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { attempt } from "../lib/toast.js";
import { mediaQuery } from "../watch/media.js";
import { afterLive } from "../watch/recordings.js";
import { recordingRow } from "./recording_row.js";

const PAGE = 8;
const MOST_ASKED = 200;

/** What was recorded in the room, newest first. */
export function recordingsCard(room) {
  let shown = null;
  let cursor;
  let query = {};
  let turn = Promise.resolve();
  const list = h("ul.kept", { role: "list" });
  const none = h("p.empty", { hidden: true }, t("recording.none"));
  const heading = h("h2", { tabindex: "-1" }, t("replay.recordings"));
  const more = h("button.plain.small.kept-more", { type: "button", testid: "recording-more", hidden: true, onclick: () => showMore() });

  const read = async (count, from) => {
    const found = [];
    do {
      const page = await room.command("recording.list", { limit: Math.min(MOST_ASKED, count - found.length), ...(from && { cursor: from }) });
      found.push(...page.recordings);
      from = page.cursor;
    } while (from && found.length < count);
    return { found, next: from };
  };
  /** One reading after the other: an older answer never replaces a newer one. */
  const inTurn = (work) => (turn = turn.then(work, work));
  const load = () => inTurn(async () => {
    const { found, next } = await read(Math.max(PAGE, shown?.length ?? 0));
    await draw(found, next);
  });
  const append = () => inTurn(async () => {
    const { found, next } = await read(PAGE, cursor);
    await draw([...shown, ...found], next);
  });
  const rows = keyedList(list, (recording) => recordingRow(room, recording, query, { change, removed: () => heading.focus() }));
  const draw = async (recordings, next) => {
    query = recordings.length > 0 ? await mediaQuery(room)() : {};
    rows(recordings);
    [shown, cursor] = [recordings, next];
    none.hidden = shown.length > 0;
  };
  const change = (type, fields) => room.command(type, fields).then(load);
  const attempted = async (work) => {
    await attempt(work);
    more.hidden = shown !== null && !cursor;
    more.textContent = t(shown === null ? "pending.retry" : "browse.more");
  };
  const showMore = async () => {
    const at = list.children.length;
    await attempted(shown === null ? load : append);
    if (more.hidden) list.children[at]?.querySelector("input, button")?.focus();
  };
  attempted(load);
  const element = h("section.studio-card.wide", { testid: "recordings", "aria-label": t("replay.recordings") }, heading, h("p.hint", null, t("recording.text")), none, list, more);
  return { element, destroy: afterLive(room, () => attempted(load)) };
}
