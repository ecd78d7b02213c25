/** What users wrote, made safe to show: links, mentions, names. */
import { h } from "./dom.js";

const LINK = /\bhttps?:\/\/[^\s<>"'\u0000-\u001f\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/giu;
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u115f\u1160\u3164\uffa0\u2800]/gu;
const PILED_MARKS = /(\p{M}{2})\p{M}+/gu;

/** A name fit for one line: no control or direction characters, few stacked marks, never empty. */
export function nameOf(user) {
  if (!user) return "?";
  const clean = (text) => String(text ?? "").replace(INVISIBLE, "").replace(PILED_MARKS, "$1").trim();
  return clean(user.name) || clean(user.id) || "?";
}

/** Characters as the server counts them. */
export const lengthOf = (text) => [...text].length;

/**
 * Text as nodes, with links and mentions.
 * @param {{mentions?: string[], users?: Map, me?: string}} context whose names the text may mention
 */
export function richText(text, { mentions = [], users = new Map(), me } = {}) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const link = safeLink(trimLink(match[0]));
    if (!link) continue;
    nodes.push(...withMentions(text.slice(from, match.index), mentions, users, me), link);
    from = match.index + link.textContent.length;
  }
  nodes.push(...withMentions(text.slice(from), mentions, users, me));
  return nodes;
}

/** A full stop or an unpaired bracket after a link belongs to the sentence. */
function trimLink(text) {
  let end = text.replace(/[.,;:!?。，；：！？、]+$/u, "");
  while (end.endsWith(")") && end.split(")").length > end.split("(").length) end = end.slice(0, -1);
  return end;
}

function safeLink(text) {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return null;
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", title: url.href }, text);
}

function withMentions(text, mentions, users, me) {
  const names = new Map(["all"].map((name) => [name, "all"]));
  for (const id of mentions) {
    names.set(id.toLowerCase(), id);
    const known = users.get(id)?.name;
    if (known) names.set(known.toLowerCase(), id);
  }
  if (!text.includes("@") || (mentions.length === 0 && !text.toLowerCase().includes("@all"))) return text ? [text] : [];
  const longestFirst = [...names.keys()].sort((a, b) => b.length - a.length);
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    const mayMention = text[at] === "@" && !/[\p{L}\p{N}]$/u.test(plain); // no part of a mail address
    const rest = mayMention ? text.slice(at + 1).toLowerCase() : null;
    const name = rest === null ? undefined : longestFirst.find((candidate) => startsWithWord(rest, candidate));
    if (name === undefined) {
      plain += text[at++];
      continue;
    }
    if (plain) nodes.push(plain);
    plain = "";
    const id = names.get(name);
    const mine = id === me || id === "all";
    nodes.push(h(mine ? "bdi.at.mine" : "bdi.at", null, text.slice(at, at + 1 + name.length)));
    at += 1 + name.length;
  }
  if (plain) nodes.push(plain);
  return nodes;
}

const startsWithWord = (text, word) => text.startsWith(word) && !/^[\p{L}\p{N}_]/u.test(text.slice(word.length));

/** The text with each place where a word of the query occurs set in `<mark>`. */
export function marked(text, query) {
  const words = query.split(/\s+/).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (words.length === 0) return [text];
  const parts = text.split(new RegExp(`(${words.join("|")})`, "giu"));
  return parts.map((part, index) => (index % 2 === 1 ? h("mark", null, part) : part));
}
