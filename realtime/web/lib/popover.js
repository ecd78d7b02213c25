import { h, roving } from "./dom.js";
import { icon } from "./icons.js";

const MARGIN = 8;

/**
 * Shows `content` beside `anchor` (an element, or a point `{x, y}`). Escape, a click elsewhere and loss of the anchor
 * close it; the focus returns to where it was.
 * @returns {{close: () => void}}
 */
export function popover(anchor, content, { focusBack = true } = {}) {
  const before = document.activeElement;
  const box = h("div.popover", null, content);
  const close = () => {
    if (!box.isConnected) return;
    box.remove();
    document.removeEventListener("pointerdown", outside, true);
    window.removeEventListener("resize", close);
    if (focusBack && before?.isConnected) before.focus();
  };
  const outside = (event) => !box.contains(event.target) && close();
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" && event.key !== "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    close();
  });
  // Inside an open <dialog>, and in full screen, only its own descendants can be reached.
  (document.querySelector("dialog[open]") ?? document.fullscreenElement ?? document.body).append(box);
  place(box, anchor);
  document.addEventListener("pointerdown", outside, true);
  window.addEventListener("resize", close);
  // What is filled after opening may be larger than it was when placed.
  queueMicrotask(() => place(box, anchor));
  return { close };
}

function place(box, anchor) {
  const at = anchor instanceof Element ? anchor.getBoundingClientRect() : { left: anchor.x, right: anchor.x, top: anchor.y, bottom: anchor.y };
  const { width, height } = box.getBoundingClientRect();
  const left = Math.min(Math.max(MARGIN, at.right - width), innerWidth - width - MARGIN);
  const below = at.bottom + 4;
  const top = below + height > innerHeight - MARGIN ? Math.max(MARGIN, at.top - height - 4) : below;
  box.style.left = `${Math.max(MARGIN, left)}px`;
  box.style.top = `${top}px`;
}

/**
 * A menu. Items: `{label, icon, run, danger?, checked?, testid?}` or null for a line.
 */
export function menu(anchor, items) {
  const list = h("div.menu", { role: "menu" });
  const { close } = popover(anchor, list);
  for (const item of items) {
    if (item === null) {
      list.append(h("hr", { role: "separator" }));
      continue;
    }
    const run = () => {
      close();
      item.run();
    };
    const role = item.checked === undefined ? "menuitem" : "menuitemradio";
    const props = { type: "button", role, onclick: run, testid: item.testid, "aria-checked": item.checked === undefined ? null : String(item.checked) };
    list.append(h(item.danger ? "button.danger" : "button", props, item.icon && icon(item.icon), h("span", null, item.label), item.checked && icon("check")));
  }
  roving(list, "button");
  list.querySelector("button").focus();
}
