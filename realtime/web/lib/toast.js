import { h } from "./dom.js";
import { errorText, t } from "./i18n.js";
import { icon } from "./icons.js";

const SHOWN_MS = 6000;
const AT_ONCE = 3;

/** A short notice at the bottom of the page, read out by screen readers; in full screen, of what fills it. */
export function toast(text, { kind = "info", stay = false } = {}) {
  const shelf = document.fullscreenElement?.querySelector(".toasts") ?? document.getElementById("toasts");
  const close = h("button.icon-button", { type: "button", "aria-label": t("close"), onclick: () => box.remove() }, icon("close"));
  const box = h(`div.toast.${kind}`, { testid: "toast" }, h("span", null, text), close);
  while (shelf.children.length >= AT_ONCE) shelf.firstChild.remove();
  shelf.append(box);
  if (!stay) setTimeout(() => box.remove(), SHOWN_MS);
}

/** Runs an action of the user and shows why it failed, if it does. Resolves with its result, or undefined. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(errorText(error), { kind: "error" });
    if (!error.code) reportError(error);
    return undefined;
  }
}

/** Says something to screen readers only. */
export function announce(text) {
  document.getElementById("announcer").append(h("p", null, text));
  const { children } = document.getElementById("announcer");
  if (children.length > 5) children[0].remove();
}
