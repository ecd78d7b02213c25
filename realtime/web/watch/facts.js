import { avatar } from "../lib/avatar.js";
import { fill, h } from "../lib/dom.js";
import { clock, number, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";

/** What is known of a room's stream: its title, since when, how many watch. */
export class Facts {
  #room;
  #off;
  #ticker;

  constructor(room, ...tools) {
    this.#room = room;
    this.title = h("h1", { dir: "auto", testid: "live-title" });
    this.line = h("p.facts-line");
    this.viewers = h("span.viewers", { testid: "viewers" });
    this.since = h("span.since", { testid: "live-since", role: "timer", "aria-label": t("watch.since") });
    this.badge = h("b.live-badge", { testid: "live-badge" });
    this.mark = h("span.facts-mark", { "aria-hidden": "true" });
    this.element = h("section.facts", { "aria-label": t("watch.facts") }, this.mark, h("div.facts-text", null, this.title, this.line), h("div.facts-numbers", null, this.badge, this.viewers, this.since), tools);
    this.#off = room.on("change", () => this.draw());
    this.#ticker = setInterval(() => this.#tick(), 1000);
    this.draw();
  }

  destroy() {
    this.#off();
    clearInterval(this.#ticker);
  }

  draw() {
    const { live, info } = this.#room;
    const key = JSON.stringify([live && { ...live, media: null }, info.title, info.owner]);
    if (this.element.dataset.key === key) return;
    this.element.dataset.key = key;
    const title = live?.title || info.title;
    fill(this.title, h("bdi", null, title));
    this.title.title = title;
    fill(this.mark, avatar({ id: info.id, name: info.title }));
    const parts = [title !== info.title && h("bdi", { dir: "auto" }, info.title), live?.category && h("span.category", { testid: "category", dir: "auto" }, live.category), live?.mature && h("span.badge", { testid: "mature" }, t("watch.matureBadge"))];
    fill(this.line, parts.filter(Boolean));
    this.badge.hidden = this.since.hidden = live === null;
    this.badge.textContent = t(live?.test ? "watch.test" : live?.interrupted ? "watch.interrupted" : "room.live");
    this.badge.classList.toggle("quiet", Boolean(live?.test || live?.interrupted));
    const { viewers } = live ?? {};
    this.viewers.hidden = !viewers;
    if (viewers) fill(this.viewers, icon("eye"), number(viewers.now), h("span.sr", null, t("watch.viewers"))).title = t("watch.viewersAll", { now: viewers.now, peak: viewers.peak ?? viewers.now, unique: viewers.unique ?? viewers.now });
    this.#tick();
  }

  #tick() {
    const { live, client } = this.#room;
    const text = live ? clock(client.now() - live.since) : "";
    if (this.since.textContent !== text) this.since.textContent = text;
  }
}
