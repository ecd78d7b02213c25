import { field, toggle } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { attempt, toast } from "../lib/toast.js";

/** What the stream is called: filled in by what the server has, until somebody writes there. */
export function detailsCard(state) {
  let touched = false;
  const title = h("input", { name: "title", maxlength: 100, dir: "auto", testid: "detail-title" });
  const category = h("input", { name: "category", maxlength: 64, dir: "auto", testid: "detail-category" });
  const mature = h("input", { name: "mature", type: "checkbox", testid: "detail-mature" });
  const test = h("input", { name: "test", type: "checkbox", testid: "detail-test" });
  const save = h("button.plain", { type: "submit", testid: "details-submit" }, t("studio.save"));
  const values = () => ({ ...(title.value.trim() && { title: title.value.trim() }), category: category.value.trim(), mature: mature.checked, test: test.checked });
  const submit = async (event) => {
    event.preventDefault();
    if (!(await attempt(() => state.start(values()).then(() => true)))) return;
    touched = false;
    draw();
    toast(t("studio.saved"));
  };
  const form = h("form", { onsubmit: submit, oninput: () => ((touched = true), draw()) }, field(t("studio.streamTitle"), title), field(t("studio.category"), category), toggle(t("watch.mature"), mature, t("studio.matureHint")), toggle(t("studio.test"), test, t("studio.testHint")), save);
  const draw = () => {
    const { stream, publishing } = state;
    if (!touched) {
      title.value = stream.title;
      category.value = stream.category ?? "";
      mature.checked = stream.mature;
      test.checked = stream.test;
    }
    test.disabled = publishing && !stream.test; // what everybody sees becomes no test again
    save.disabled = !touched || !publishing; // before, it goes along with the start
    save.hidden = !publishing;
  };
  const off = state.on("change", draw);
  draw();
  return { element: h("section.studio-card", { "aria-label": t("studio.details") }, h("h2", null, t("studio.details")), form), destroy: off, values };
}
