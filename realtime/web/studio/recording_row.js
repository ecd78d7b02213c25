import { GalaxyError } from "../galaxy-live.js";
import { withQuery } from "../galaxy-live/player/addresses.js";
import { confirmDialog, field, formDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { fileSize, fullTime, shortTime, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { menu } from "../lib/popover.js";
import { attempt } from "../lib/toast.js";
import { mediaQuery } from "../watch/media.js";
import { recordingPicture } from "../watch/recordings.js";

/**
 * A recording, and what its creator can do with it. `draw(recording)` shows what has become of it; `change(type, fields)`
 * tells the server and reads the list anew; `removed()` is called when the row, and with it the focus, has gone.
 */
export function recordingRow(room, first, query, { change, removed }) {
  let recording = first;
  const { id, started_at, bytes, parts } = first;
  const name = h("bdi");
  const state = h("small.kept-state");
  const tell = (type, fields) => change(type, { recording: id, ...fields });
  const show = async (event) => {
    await attempt(() => tell("recording.update", { listed: event.target.checked }));
    draw(recording);
  };
  const listed = h("input", { type: "checkbox", role: "switch", testid: "recording-toggle", onchange: show });
  const labels = [[listed, t("recording.listed")]];
  const tool = (testid, mark, label, run, props) => {
    const button = h("button.icon-button", { type: "button", testid, title: label, onclick: run, ...props }, icon(mark));
    labels.push([button, label]);
    return button;
  };
  const download = tool("recording-download", "save", t("recording.download"), () => chosen((part) => attempt(() => save(room, first.mp4, part))), parts > 1 && { "aria-haspopup": "menu" });
  const chosen = (run) => {
    if (parts === 1) return run(1);
    return menu(download, Array.from({ length: parts }, (_, at) => ({ label: t("recording.part", { number: at + 1 }), icon: "save", testid: "recording-part", run: () => run(at + 1) })));
  };
  const edit = tool("recording-edit", "edit", t("recording.edit"), () => renameDialog(recording, tell));
  const remove = tool("recording-delete", "trash", t("recording.delete"), async () => {
    const text = t("recording.deleteText", { title: recording.title });
    await confirmDialog({ title: t("recording.deleteTitle"), text, submitLabel: t("recording.delete"), testid: "confirm-recording", submit: () => tell("recording.delete") }).closed;
    if (!element.isConnected) removed();
  });
  const playable = [h("label.toggle", { title: t("recording.listed") }, listed), download, edit];
  const element = h("li", { testid: "recording-item", data: { id } },
    recordingPicture(first, query),
    h("div.kept-text", null,
      h("b", { dir: "auto" }, name),
      h("small", null, h("time", { title: fullTime(started_at), datetime: new Date(started_at).toISOString() }, shortTime(started_at)), " · ", fileSize(bytes)),
      state),
    h("div.kept-tools", null, playable, remove));
  const draw = (now) => {
    recording = now;
    element.dataset.state = now.state;
    name.textContent = now.title;
    state.textContent = t(`recording.state.${now.state}`);
    listed.checked = now.state === "listed";
    for (const [control, label] of labels) control.setAttribute("aria-label", `${label}: ${now.title}`);
    for (const control of playable) control.hidden = now.state === "hidden";
  };
  return { element, draw };
}

function renameDialog({ title }, tell) {
  const name = h("input", { name: "title", required: true, maxlength: 100, dir: "auto", autofocus: true, testid: "recording-title", value: title });
  formDialog({ title: t("recording.edit"), testid: "recording", fields: [field(t("recording.title"), name)], submitLabel: t("studio.save"), submit: (fields) => tell("recording.update", fields) });
}

/** @throws {GalaxyError} where there is no such file: asked first, as a page that says so would take this one's place */
async function save(room, mp4, part) {
  const address = withQuery(mp4, { ...(await mediaQuery(room)()), part });
  const answer = await fetch(address, { headers: { Range: "bytes=0-0" } }).catch(() => null);
  if (!answer?.ok) throw new GalaxyError({ code: answer && answer.status < 500 ? "not_found" : "unavailable" });
  h("a", { href: answer.url, download: "" }).click();
}
