import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { errorText, t } from "./i18n.js";

/**
 * A modal dialog by the browser's own `<dialog>`, which keeps the focus inside and closes by Escape.
 * @param {{title: string, body: Node|Node[], actions?: Node[], testid?: string, wide?: boolean}} parts
 * @returns {{element: HTMLDialogElement, close: () => void, closed: Promise<void>}}
 */
export function dialog({ title, body, actions = [], testid, wide = false }) {
  const heading = h("h2", { id: `dialog-${crypto.randomUUID()}` }, title);
  const element = h(
    wide ? "dialog.dialog.wide" : "dialog.dialog",
    { "aria-labelledby": heading.id, testid },
    h("header", null, heading, h("button.icon-button", { type: "button", "aria-label": t("close"), title: t("close"), onclick: () => element.close() }, icon("close"))),
    h("div.dialog-body", null, body),
    actions.length > 0 && h("footer", null, actions),
  );
  element.addEventListener("pointerdown", (event) => event.target === element && element.close());
  const closed = new Promise((resolve) =>
    element.addEventListener("close", () => {
      element.remove();
      resolve();
    }),
  );
  document.body.append(element);
  element.showModal();
  element.querySelector("[autofocus]")?.focus();
  return { element, close: () => element.close(), closed };
}

/**
 * A dialog that is a form. `submit(values)` runs on sending; while it runs the button is off, and what it throws is
 * shown in the dialog, which stays open.
 */
export function formDialog({ title, fields, submitLabel, submit, danger = false, testid }) {
  const problem = h("p.problem", { role: "alert", hidden: true });
  const send = h(danger ? "button.danger" : "button.primary", { type: "submit", testid: testid && `${testid}-submit` }, submitLabel);
  const cancel = h("button.plain", { type: "button", onclick: () => opened.close() }, t("cancel"));
  const form = h("form", { method: "dialog" }, fields, problem, h("footer", null, cancel, send));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    problem.hidden = true;
    try {
      await submit(Object.fromEntries(new FormData(form)));
      opened.close();
    } catch (error) {
      fill(problem, errorText(error)).hidden = false;
    } finally {
      send.disabled = false;
    }
  });
  const opened = dialog({ title, body: form, testid });
  return opened;
}

export function confirmDialog({ title, text, detail, submitLabel, submit, testid }) {
  return formDialog({ title, fields: [h("p", null, text), detail], submitLabel, submit, danger: true, testid });
}

let ids = 0;
/** A labelled control. */
export function field(label, control, hint) {
  control.id ||= `field-${++ids}`;
  const note = hint && h("small", { id: `${control.id}-hint` }, hint);
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div.field", null, h("label", { for: control.id }, label), control, note);
}

export function toggle(label, control, hint) {
  control.id ||= `field-${++ids}`;
  control.type = "checkbox";
  control.setAttribute("role", "switch");
  return h("label.toggle", null, h("span", null, label, hint && h("small", null, hint)), control);
}

export function select(props, options) {
  const control = h("select", props, options.map(([value, text]) => h("option", { value }, text)));
  if (props.value !== undefined) control.value = String(props.value);
  return control;
}
