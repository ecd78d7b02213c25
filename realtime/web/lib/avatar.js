import { h } from "./dom.js";
import { nameOf } from "./text.js";

const COLOURS = 12;

/** FNV-1a: the same person has the same colour everywhere. */
function colourOf(id) {
  let hash = 0x811c9dc5;
  for (const char of String(id)) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193) >>> 0;
  return hash % COLOURS;
}

function initials(name) {
  const words = name.split(/[\s._-]+/u).filter(Boolean);
  const first = (word) => [...(word ?? "")][0] ?? "";
  const text = /^[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(name) || words.length < 2
    ? first(words[0] ?? name)
    : first(words[0]) + first(words.at(-1));
  return text.toLocaleUpperCase();
}

/** Coloured initials; decoration beside a name, so hidden from screen readers. */
export function avatar(user, size = "") {
  return h(`span.avatar.colour-${colourOf(user?.id)}${size ? `.${size}` : ""}`, { "aria-hidden": "true" }, initials(nameOf(user)));
}
