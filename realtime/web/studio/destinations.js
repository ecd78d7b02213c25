import { confirmDialog, field, formDialog } from "../lib/dialog.js";
import { h, keyedList } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";

/** The creator's other platforms, and how the push to each of them does. */
export function destinationsCard(room) {
  const list = h("ul.destinations", { role: "list" });
  const none = h("p.empty", { hidden: true }, t("destination.none"));
  const statuses = new Map();
  let known = null;
  const load = async () => {
    known = (await room.client.request("live.destination.list")).destinations;
    draw();
  };
  const change = (type, fields) => room.client.request(type, fields).then(load);
  const add = h("button.plain.small", { type: "button", testid: "destination-add", onclick: () => destinationDialog(null, change) }, icon("plus"), t("destination.add"));
  const rows = keyedList(list, (first) => destinationRow(first, { change, removed: () => add.focus() }));
  const draw = () => {
    if (known === null) return;
    rows(known.map((one) => ({ ...one, status: statuses.get(one.id) })));
    none.hidden = known.length > 0;
  };
  const offs = [
    room.on("destination", (status) => {
      statuses.set(status.id, status);
      draw();
    }),
    room.on("change", () => room.live === null && statuses.size > 0 && !room.health && (statuses.clear(), draw())),
  ];
  attempt(load);
  const element = h("section.studio-card", { "aria-label": t("destination.title") }, h("header", null, h("h2", null, t("destination.title")), add), h("p.hint", null, t("destination.text")), none, list);
  return { element, destroy: () => offs.forEach((off) => off()) };
}

/** `change(type, fields)` tells the server and reads the list anew; `removed()` is called when the row has gone. */
function destinationRow(first, { change, removed }) {
  let row = first;
  const destination = first.id;
  const [name, url, facts, problem] = [h("bdi"), h("small", { dir: "ltr" }), h("small.destination-state"), h("small.destination-error", { dir: "auto" })];
  const enable = async (event) => {
    await attempt(() => change("live.destination.update", { destination, enabled: event.target.checked }));
    draw(row);
  };
  const enabled = h("input", { type: "checkbox", role: "switch", testid: "destination-toggle", onchange: enable });
  const labels = [[enabled, t("destination.enabled")]];
  const tool = (testid, mark, label, run) => {
    const button = h("button.icon-button", { type: "button", testid, title: label, onclick: run }, icon(mark));
    labels.push([button, label]);
    return button;
  };
  const remove = async () => {
    const text = t("destination.removeText", { name: row.name });
    await confirmDialog({ title: t("destination.remove"), text, submitLabel: t("destination.remove"), testid: "confirm-destination", submit: () => change("live.destination.remove", { destination }) }).closed;
    if (!element.isConnected) removed();
  };
  const element = h("li", { testid: "destination-item", data: { id: destination } },
    h("label.toggle", { title: t("destination.enabled") }, enabled),
    h("div.destination-text", null, h("b", { dir: "auto" }, name), url, facts, problem),
    tool("destination-edit", "edit", t("destination.edit"), () => destinationDialog(row, change)),
    tool("destination-remove", "trash", t("destination.remove"), remove));
  const draw = (now) => {
    row = now;
    const { status } = row;
    const state = row.enabled ? (status?.state ?? "waiting") : "off";
    element.dataset.state = state;
    enabled.checked = row.enabled;
    [name.textContent, url.textContent] = [row.name, row.url];
    facts.textContent = [t(`destination.state.${state}`), state === "live" && t("health.kbitValue", { value: status.kbit }), status?.dropped > 0 && t("destination.dropped", { count: status.dropped })].filter(Boolean).join(" · ");
    problem.textContent = (row.enabled && status?.error) || "";
    problem.hidden = problem.textContent === "";
    for (const [control, label] of labels) control.setAttribute("aria-label", `${label}: ${row.name}`);
  };
  return { element, draw };
}

function destinationDialog(old, change) {
  const name = h("input", { name: "name", required: true, maxlength: 64, dir: "auto", autofocus: true, testid: "destination-name", value: old?.name ?? "" });
  const url = h("input", { name: "url", type: "url", required: true, pattern: "rtmps?://.+", placeholder: "rtmp://", testid: "destination-url", value: old?.url ?? "" });
  const key = h("input", { name: "stream_key", type: "password", required: !old, autocomplete: "off", testid: "destination-key" });
  formDialog({
    title: t(old ? "destination.edit" : "destination.add"),
    testid: "destination",
    fields: [field(t("destination.name"), name), field(t("destination.url"), url), field(t("destination.key"), key, t(old ? "destination.keyKept" : "destination.keyHint"))],
    submitLabel: t("studio.save"),
    submit: ({ stream_key, ...fields }) => change(`live.destination.${old ? "update" : "add"}`, { ...(old && { destination: old.id }), ...fields, ...(stream_key && { stream_key }) }),
  });
}
