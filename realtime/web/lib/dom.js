/**
 * Makes elements. Text only ever enters by `textContent`, never as markup.
 *
 *     h("button.primary", { type: "button", onclick: save, testid: "save" }, "Save")
 *
 * @param {string} spec tag and classes: `div.row.wide`
 * @param {object|null} props `on…` functions are listeners, `testid` and `data` go to the dataset, what the element
 *   has as a property and is no string is set as such, all else is an attribute; null, undefined and false are left out
 * @param {...(Node|string|number|null|false|undefined|Array)} children
 */
export function h(spec, props, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(props ?? {})) setProp(element, name, value);
  append(element, children);
  return element;
}

function setProp(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (name === "testid") element.dataset.testid = value;
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "value" || (typeof value !== "string" && name in element)) element[name] = value;
  else element.setAttribute(name, value === true ? "" : String(value));
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) element.append(child);
  }
}

/** Replaces all children. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/**
 * Draws rows, each with an `id`, as the list's children. A row that stays keeps its element, and with it the focus.
 * @param {(row: object) => {element: Element, draw: (row: object) => void}} make for a row that is new
 * @returns {(rows: object[]) => void}
 */
export function keyedList(list, make) {
  const drawn = new Map();
  return (rows) => {
    const ids = new Set(rows.map(({ id }) => id));
    for (const [id, { element }] of drawn) {
      if (ids.has(id)) continue;
      element.remove();
      drawn.delete(id);
    }
    for (const [at, row] of rows.entries()) {
      if (!drawn.has(row.id)) drawn.set(row.id, make(row));
      const { element, draw } = drawn.get(row.id);
      draw(row);
      if (list.children[at] !== element) list.insertBefore(element, list.children[at] ?? null);
    }
  };
}

/** Calls `draw` once per frame, however often it is asked to. */
export function perFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Arrow keys, Home and End move the focus among the items; one of them is in the tab order at a time. */
export function roving(container, selector, { vertical = true, horizontal = false } = {}) {
  const items = () => [...container.querySelectorAll(selector)].filter((item) => item.offsetParent !== null);
  container.addEventListener("keydown", (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const step = { ArrowDown: vertical && 1, ArrowUp: vertical && -1, ArrowRight: horizontal && 1, ArrowLeft: horizontal && -1 };
    let next = null;
    if (step[event.key]) next = at < 0 ? 0 : (at + step[event.key] + all.length) % all.length;
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = all.length - 1;
    if (next === null || all.length === 0) return;
    event.preventDefault();
    all[next].focus();
  });
}

/** Holds the number of calls down to one in `ms`; the last one is never lost. */
export function throttle(ms, call) {
  let timer = null;
  let again = false;
  return function throttled() {
    if (timer !== null) {
      again = true;
      return;
    }
    call();
    timer = setTimeout(() => {
      timer = null;
      if (again) {
        again = false;
        throttled();
      }
    }, ms);
  };
}
