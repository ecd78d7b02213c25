import { h, fill } from "../lib/dom.js";
import { pickEmoji } from "../lib/emoji.js";
import { clock, errorText, number, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { lengthOf, nameOf } from "../lib/text.js";
import { attempt, toast } from "../lib/toast.js";
import { Autocomplete } from "./autocomplete.js";
import { writeBar } from "./write_bar.js";

const TYPING_EVERY_MS = 3000;
const COUNT_FROM = 200;
const DRAFTS = new Map();

/** Where one writes: a message, a reply or an edit; or, in its place, why one may not. */
export class Composer {
  #room;
  #host;
  #replyTo = null;
  #editing = null;
  #typedAt = 0;
  #off;
  #ticker;

  /** @param host `{lastOwn(), focusTimeline(), sent(), join()}` */
  constructor(room, host) {
    this.#room = room;
    this.#host = host;
    this.input = h("textarea.input", {
      rows: 1, dir: "auto", testid: "composer-input", autocomplete: "off", enterkeyhint: "send",
      placeholder: t("composer.placeholder", { room: room.info?.title ?? "" }), "aria-label": t("composer.label"), value: DRAFTS.get(room.id) ?? "",
      oninput: () => this.#typed(), onkeydown: (event) => this.#key(event),
    });
    this.people = new Autocomplete(this.input, () => this.#people());
    this.context = h("div.context", { hidden: true });
    this.count = h("span.count", { "aria-live": "polite" });
    this.send = h("button.send", { type: "button", testid: "composer-send", "aria-label": t("composer.send"), title: t("composer.send"), onclick: () => this.submit() }, icon("send"));
    const smile = h("button.icon-button", { type: "button", testid: "composer-emoji", "aria-label": t("composer.emoji"), title: t("composer.emoji"), onclick: (event) => pickEmoji(event.currentTarget, (emoji) => this.#insert(emoji)) }, icon("smile"));
    this.box = h("div.composer-box", null, this.context, h("div.composer-row", null, this.input, this.count, smile, this.send));
    this.bar = h("div.write-bar", { testid: "write-bar", role: "status" });
    this.typing = h("div.typing", { "aria-live": "off", testid: "typing" });
    this.element = h("div.composer", null, this.people.element, this.box, this.bar, this.typing);
    this.#off = room.on("change", () => this.draw());
    this.#ticker = setInterval(() => this.draw(), 1000);
    this.draw();
  }

  destroy() {
    this.#off();
    clearInterval(this.#ticker);
  }

  focus() {
    this.input.focus();
  }

  reply(message) {
    this.#editing = null;
    this.#replyTo = message;
    this.#context(icon("reply"), t("composer.replying", { name: nameOf(message.by) }));
  }

  edit(message) {
    if (!this.#editing) DRAFTS.set(this.#room.id, this.input.value);
    this.#replyTo = null;
    this.#editing = message;
    this.input.value = message.text;
    this.#context(icon("edit"), t("composer.editing"));
    this.input.setSelectionRange(message.text.length, message.text.length);
  }

  /** Ends a reply or an edit; the draft from before an edit comes back. */
  cancel() {
    if (this.#editing) this.input.value = DRAFTS.get(this.#room.id) ?? "";
    this.#replyTo = this.#editing = null;
    this.context.hidden = true;
    this.#grow();
  }

  submit() {
    const text = this.input.value.trim();
    if (!text || this.send.disabled) return;
    if (this.#editing) this.#save(text);
    else this.#send(text);
  }

  mayWrite() {
    return writeBar(this.#room, this.#host) === null;
  }

  draw() {
    const bar = writeBar(this.#room, this.#host);
    this.box.hidden = bar !== null;
    this.bar.hidden = bar === null;
    if (bar !== null && this.bar.dataset.text !== bar.text) {
      this.bar.dataset.text = bar.text;
      fill(this.bar, icon(bar.icon), h("span", null, bar.text), bar.action);
    }
    if (bar === null) delete this.bar.dataset.text;
    this.#countdown();
    this.#below();
  }

  #countdown() {
    const max = this.#room.settings.max_text ?? 2000;
    const length = lengthOf(this.input.value.trim());
    const wait = this.#editing ? 0 : this.#room.slowUntil - Date.now();
    const slow = wait > 0 ? `${t("composer.slow")} ${clock(wait)}` : null;
    const left = max - length;
    const label = slow ?? (left < COUNT_FROM ? number(left) : "");
    if (this.count.textContent !== label) this.count.textContent = label;
    this.count.classList.toggle("over", left < 0);
    this.send.disabled = length === 0 || left < 0 || wait > 0;
  }

  /** That not all comments are shown, or else who is typing. */
  #below() {
    const { sampled } = this.#room;
    const label = sampled ? t("timeline.sampled", sampled) : this.#typists();
    if (this.typing.dataset.label === label) return;
    this.typing.dataset.label = label;
    const dots = !sampled && h("span.dots", { "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    fill(this.typing, label && [dots, h("span", null, label)]);
  }

  #typists() {
    const names = this.#room.typists().map(nameOf);
    const key = ["typing.none", "typing.one", "typing.two"][names.length] ?? "typing.many";
    return names.length === 0 ? "" : t(key, { a: names[0], b: names[1], count: names.length });
  }

  #people() {
    const room = this.#room;
    const everyone = room.moderates ? [{ id: "all", name: "all", hint: t("composer.everyone") }] : [];
    const users = room.members ?? room.users;
    return [...everyone, ...[...users.values()].filter(({ id }) => id !== room.me.id)];
  }

  #context(mark, label) {
    const close = h("button.icon-button", { type: "button", "aria-label": t("cancel"), onclick: () => this.cancel() }, icon("close"));
    fill(this.context, mark, h("span", { testid: "composer-context" }, label), close).hidden = false;
    this.#grow();
    this.input.focus();
  }

  #typed() {
    this.#grow();
    this.people.update();
    if (!this.#editing) DRAFTS.set(this.#room.id, this.input.value);
    const now = Date.now();
    if (this.input.value && !this.#editing && now - this.#typedAt >= TYPING_EVERY_MS) {
      this.#typedAt = now;
      this.#room.client.notify("typing", { room: this.#room.id });
    }
  }

  /** As tall as its text, up to the maximum of the style sheet. */
  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
    this.#countdown();
  }

  #insert(text) {
    this.input.setRangeText(text, this.input.selectionStart, this.input.selectionEnd, "end");
    this.input.focus();
    this.#typed();
  }

  #key(event) {
    if (event.isComposing || this.people.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape" && (this.#replyTo || this.#editing)) {
      this.cancel();
    } else if (event.key === "ArrowUp" && this.input.value === "") {
      event.preventDefault();
      const own = this.#host.lastOwn();
      if (own) this.edit(own);
      else this.#host.focusTimeline();
    }
  }

  #send(text) {
    try {
      this.#room.client.send(this.#room.id, text, { replyTo: this.#replyTo?.pos });
    } catch (error) {
      toast(errorText(error), { kind: "error" });
      return;
    }
    DRAFTS.delete(this.#room.id);
    this.input.value = "";
    this.#typedAt = 0;
    this.cancel();
    this.input.focus();
    this.#host.sent();
  }

  async #save(text) {
    const { pos, text: before } = this.#editing;
    if (text === before) return this.cancel();
    this.send.disabled = true;
    const saved = await attempt(() => this.#room.command("message.edit", { target: pos, text }));
    if (saved) this.cancel();
    this.#countdown();
    return undefined;
  }
}
