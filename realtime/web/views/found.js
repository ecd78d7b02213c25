import { avatar } from "../lib/avatar.js";
import { h } from "../lib/dom.js";
import { fullTime, shortTime } from "../lib/i18n.js";
import { marked, nameOf } from "../lib/text.js";

/** A message in a list beside the timeline; choosing it shows it there. */
export function foundMessage(message, query, jump, extra) {
  return h("li.hit", null, h("button", { type: "button", testid: "found", data: { pos: message.pos }, onclick: () => jump(message.pos) },
    avatar(message.by),
    h("span.hit-body", null,
      h("span.byline", null, h("b", { dir: "auto" }, h("bdi", null, nameOf(message.by))), h("time", { title: fullTime(message.at) }, shortTime(message.at))),
      h("span.hit-text", { dir: "auto" }, marked(message.text ?? "", query)))), extra);
}
