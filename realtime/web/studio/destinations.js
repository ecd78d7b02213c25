import { confirmDialog, field, formDialog } from "../lib/dialog.js";
import { fill, h } from "../lib/dom.js";
import { number, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";

/** The creator's other platforms, and how the push to each of them does. */
export function destinationsCard(room) {
  const list = h("ul.destinations", { role: "list" });
  const statuses = new Map();
  let rows = [];
  const load = async () => {
    rows = (await room.client.request("live.destination.list")).destinations;
    draw();
  };
  const change = (type, fields) => room.client.request(type, fields).then(load);
  const draw = () => {
    const focused = list.contains(document.activeElement) ? [document.activeElement.dataset.testid, document.activeElement.closest("li").dataset.id] : null;
    fill(list, rows.map((one) => destinationRow(one, statuses.get(one.id), change)));
    if (rows.length === 0) fill(list, h("li.empty", null, t("destination.none")));
    if (focused) list.querySelector(`li[data-id="${CSS.escape(focused[1])}"] [data-testid="${focused[0]}"]`)?.focus();
  };
  const offs = [
    room.on("destination", (status) => {
      statuses.set(status.id, status);
      draw();
    }),
    room.on("change", () => room.live === null && statuses.size > 0 && !room.health && (statuses.clear(), draw())),
  ];
  attempt(load);
  const add = h("button.plain.small", { type: "button", testid: "destination-add", onclick: () => destinationDialog(null, change) }, icon("plus"), t("destination.add"));
  const element = h("section.studio-card", { "aria-label": t("destination.title") }, h("header", null, h("h2", null, t("destination.title")), add), h("p.hint", null, t("destination.text")), list);
  return { element, destroy: () => offs.forEach((off) => off()) };
}

function destinationRow({ id, name, url, enabled }, status, change) {
  const state = enabled ? (status?.state ?? "waiting") : "off";
  const update = (fields) => attempt(() => change("live.destination.update", { destination: id, ...fields }));
  const remove = () => confirmDialog({ title: t("destination.remove"), text: t("destination.removeText", { name }), submitLabel: t("destination.remove"), testid: "confirm-destination", submit: () => change("live.destination.remove", { destination: id }) });
  const tool = (testid, mark, label, run) => h("button.icon-button", { type: "button", testid, title: label, "aria-label": `${label}: ${name}`, onclick: run }, icon(mark));
  const facts = [t(`destination.state.${state}`), state === "live" && t("health.kbitValue", { value: status.kbit }), status?.dropped > 0 && t("destination.dropped", { count: status.dropped })];
  return h("li", { testid: "destination-item", data: { id, state } },
    h("label.toggle", { title: t("destination.enabled") }, h("input", { type: "checkbox", role: "switch", testid: "destination-toggle", checked: enabled, "aria-label": `${t("destination.enabled")}: ${name}`, onchange: (event) => update({ enabled: event.target.checked }) })),
    h("div.destination-text", null,
      h("b", { dir: "auto" }, h("bdi", null, name)), h("small", { dir: "ltr" }, url),
      h("small.destination-state", null, facts.filter(Boolean).join(" · ")),
      enabled && status?.error && h("small.destination-error", { dir: "auto" }, status.error)),
    tool("destination-edit", "edit", t("destination.edit"), () => destinationDialog({ id, name, url }, change)),
    tool("destination-remove", "trash", t("destination.remove"), remove));
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
