import { avatar } from "../lib/avatar.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { nameOf, richText } from "../lib/text.js";
import { attempt, toast } from "../lib/toast.js";
import { writeBar } from "../views/write_bar.js";

const SHOWN = 8;
const SHOWN_MS = 12_000;
const SHOWN_CHARACTERS = 300;
const FLOATS_AT_ONCE = 24;
const FLOAT_MS = 3_200;
const KEPT = "galaxy-live.over";

/** Comments over the picture, for full screen; and reactions, which rise over it at any size. */
export class Over {
  #room;
  #offs;

  constructor(room) {
    this.#room = room;
    this.list = h("ol.over-list", { "aria-hidden": "true" }); // they are read out where they stand beside the picture
    this.input = h("input", { type: "text", maxlength: 2000, autocomplete: "off", dir: "auto", enterkeyhint: "send", testid: "over-input", placeholder: t("watch.say"), "aria-label": t("composer.label") });
    this.form = h("form.over-form", { onsubmit: (event) => this.#send(event) }, this.input);
    this.element = h("div.over", null, this.list, this.form);
    this.toasts = h("div.toasts", { role: "status", "aria-live": "polite" });
    this.floats = h("div.floats", { "aria-hidden": "true" });
    this.toggle = h("button.control.over-toggle", { type: "button", testid: "over-toggle", title: t("watch.over"), "aria-label": t("watch.over"), onclick: () => this.#show(this.element.hidden) }, icon("comments"));
    this.#show(localStorage.getItem(KEPT) !== "hidden");
    this.#offs = [
      room.on("message", (message) => this.#comment(message)),
      room.on("edited", ({ target, message }) => this.#row(target)?.querySelector(".over-text").replaceWith(this.#text(message))),
      room.on("deleted", ({ target }) => this.#row(target)?.remove()),
      room.on("tip", (item) => this.add(item)),
      room.on("reactions", (more) => more.forEach(({ emoji, count }) => this.float(emoji, count))),
      room.on("change", () => this.#mayWrite()),
    ];
    this.#mayWrite();
  }

  destroy() {
    this.#offs.forEach((off) => off());
  }

  #show(shown) {
    this.element.hidden = !shown;
    this.toggle.setAttribute("aria-pressed", String(shown));
    localStorage.setItem(KEPT, shown ? "shown" : "hidden");
  }

  #mayWrite() {
    this.form.hidden = writeBar(this.#room, {}) !== null;
  }

  #comment(message) {
    if (message.deleted) return;
    this.add(message);
    const emoji = message.text.trim();
    if (/^\p{Extended_Pictographic}(\p{Emoji_Component}|\u200d\p{Extended_Pictographic})*$/u.test(emoji)) this.float(emoji, 1);
  }

  add({ pos, by, tip, ...message }) {
    const said = tip
      ? [h("b.over-tip", null, t("tip.row", { name: nameOf(by), amount: tip.amount, asset: tip.asset })), tip.text && [" ", this.#text(tip)]]
      : [h("b", null, h("bdi", null, nameOf(by))), " ", this.#text(message)];
    const row = h("li", { testid: "over-comment", data: { pos } }, avatar(by, "tiny"), h("span", { dir: "auto" }, said));
    this.list.append(row);
    while (this.list.children.length > SHOWN) this.list.firstChild.remove();
    setTimeout(() => row.remove(), SHOWN_MS);
  }

  #row(pos) {
    return this.list.querySelector(`[data-pos="${pos}"]`);
  }

  #text({ text, mentions }) {
    return h("span.over-text", null, richText(text.slice(0, SHOWN_CHARACTERS), { mentions, users: this.#room.users, me: this.#room.me.id }));
  }

  /** Lets an emoji rise, `count` times. */
  float(emoji, count) {
    for (let each = 0; each < Math.min(count, 8) && this.floats.children.length < FLOATS_AT_ONCE; each++) {
      const drop = h("i", null, emoji);
      drop.style.insetInlineEnd = `${4 + Math.random() * 60}px`;
      drop.style.animationDelay = `${each * 120}ms`;
      this.floats.append(drop);
      setTimeout(() => drop.remove(), FLOAT_MS + each * 120);
    }
  }

  /** What becomes of it is said here: where it is refused, full screen hides the timeline that would say so. */
  async #send(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text) return;
    const reply = await attempt(() => {
      const { done } = this.#room.client.send(this.#room.id, text);
      this.input.value = "";
      return done;
    });
    if (reply?.pending) toast(t(reply.held ? "pending.held" : "pending.delayed"));
  }
}
