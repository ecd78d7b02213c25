import { avatar } from "../lib/avatar.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { nameOf } from "../lib/text.js";

const SHOWN = 8;
const QUERY = /(?:^|[^\p{L}\p{N}])@([\p{L}\p{N}_.\- ]{0,40})$/u;

/** Proposes people after an `@`, beside a text field: the combobox pattern, so that the focus stays in the text. */
export class Autocomplete {
  #input;
  #people;
  #matches = [];
  #at = 0;
  #start = 0;

  /** @param people `() => {id, name}[]` */
  constructor(input, people) {
    this.#input = input;
    this.#people = people;
    this.element = h("div.suggestions", { id: "suggestions", role: "listbox", "aria-label": t("composer.mention"), hidden: true, testid: "suggestions" });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": "suggestions", "aria-expanded": "false" })) {
      input.setAttribute(name, value);
    }
    input.addEventListener("blur", () => this.close());
  }

  get open() {
    return !this.element.hidden;
  }

  update() {
    const before = this.#input.value.slice(0, this.#input.selectionStart);
    const query = before.match(QUERY)?.[1].toLowerCase();
    if (query === undefined) return this.close();
    this.#start = before.length - query.length;
    const starts = ({ id, name }) => [name, id, ...name.split(/\s+/)].some((word) => word.toLowerCase().startsWith(query));
    this.#matches = this.#people().filter(starts).slice(0, SHOWN);
    const [{ id, name } = {}, second] = this.#matches;
    const complete = !second && [id, name?.toLowerCase()].includes(query.trimEnd()); // so that Enter sends
    if (!id || complete) return this.close();
    this.#at = 0;
    return this.#show();
  }

  /** Handles a key of the text field. Returns whether it was meant for the list. */
  key(event) {
    if (!this.open) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) this.#at = (this.#at + step + this.#matches.length) % this.#matches.length;
    else if (event.key === "Enter" || event.key === "Tab") this.#choose(this.#matches[this.#at]);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    if (step) this.#show();
    return true;
  }

  close() {
    this.element.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }

  #show() {
    const option = (person, index) =>
      h(
        "div.suggestion",
        { id: `suggestion-${index}`, role: "option", "aria-selected": String(index === this.#at), onpointerdown: (event) => event.preventDefault(), onclick: () => this.#choose(person) },
        person.id === "all" ? h("span.avatar.all", { "aria-hidden": "true" }, "@") : avatar(person),
        h("bdi", null, nameOf(person)),
        h("small", { dir: "auto" }, person.hint ?? person.id),
      );
    fill(this.element, this.#matches.map(option)).hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#input.setAttribute("aria-activedescendant", `suggestion-${this.#at}`);
  }

  /** Writes the name where only one member bears it, else the id. */
  #choose({ id, name }) {
    const namesakes = this.#people().filter((person) => person.name.toLowerCase() === name.toLowerCase());
    const word = id === "all" || namesakes.length > 1 ? id : name;
    const end = this.#input.selectionStart;
    this.#input.setRangeText(`${word} `, this.#start, end, "end");
    this.close();
    this.#input.dispatchEvent(new Event("input"));
  }
}
