import { Publisher } from "../galaxy-live/publisher.js";
import { roomPage } from "../lib/addresses.js";
import { confirmDialog } from "../lib/dialog.js";
import { fill, h } from "../lib/dom.js";
import { clock, number, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt } from "../lib/toast.js";
import { RoomView } from "../views/room.js";
import { destinationsCard } from "./destinations.js";
import { detailsCard } from "./details.js";
import { encoderCard } from "./encoder.js";
import { healthCard } from "./health.js";
import { recordingsCard } from "./recordings.js";
import { Stage } from "./stage.js";
import { StreamState } from "./state.js";

const SHOWN = { admitted: "connecting", flowing: "live", interrupted: "interrupted", idle: "off", stopped: "off" };

/** The studio: what is sent, how it does, and the comments beside. */
export class StudioView {
  #room;
  #parts;
  #offs;
  #ticker;
  #ending = false;
  #interrupted = false;
  #leave = () => this.publisher.stop();
  #ask = (event) => this.publisher.state !== "idle" && event.preventDefault();

  constructor(shell, room) {
    this.#room = room;
    this.state = new StreamState(room);
    this.stage = new Stage();
    this.publisher = new Publisher({
      address: `/v1/rooms/${encodeURIComponent(room.id)}/whip`,
      bearer: async () => (await room.command("live.key")).key,
    });
    this.details = detailsCard(this.state);
    this.cards = [this.details, healthCard(room, this.state), encoderCard(room, this.state), destinationsCard(room), recordingsCard(room)];
    this.comments = new RoomView({ client: shell.client, rooms: shell.rooms, me: shell.me, home: () => shell.home(), signIn: () => shell.signIn() }, room, { beside: true });
    this.#parts = [this.state, this.stage, ...this.cards, this.comments];
    this.badge = h("b.live-badge", { testid: "stream-state" });
    this.own = h("span.own-state", { testid: "publisher-state", role: "status" });
    this.time = h("span.since", { testid: "studio-time", role: "timer", "aria-label": t("watch.since") });
    this.viewers = h("span.viewers", { testid: "studio-viewers" });
    this.go = h("button.primary", { type: "button", testid: "go-live", onclick: () => this.#goLive() });
    this.end = h("button.danger", { type: "button", testid: "end-stream", onclick: () => this.#confirm() }, t("studio.end"));
    this.warning = h("p.problem", { role: "alert", testid: "studio-warning", hidden: true });
    this.element = h("div.watch.studio", { testid: "studio" },
      shell.topBar(h("a.plain.small", { href: roomPage(room.id), testid: "watch-link" }, icon("play"), h("span", null, t("studio.watch")))),
      h("div.watch-body", null,
        h("main.watch-main", { id: "main", tabindex: "-1" },
          h("h1.sr", null, t("studio.title", { room: room.info.title })),
          h("div.studio-top", null, this.stage.element,
            h("div.studio-bar", null, this.badge, this.time, this.viewers, this.own, h("span.gap"), this.end, this.go)),
          this.warning,
          h("div.cards", null, this.cards.map(({ element }) => element))),
        h("aside.watch-side", null, this.comments.element)));
    this.#offs = [
      this.state.on("change", () => this.#draw()),
      this.publisher.on("state", ({ state, error }) => this.#publisher(state, error)),
      this.stage.sources.on("track", ({ kind, track }) => attempt(() => this.publisher.replace(kind, track))),
      room.on("change", () => this.#follow()),
      room.on("warning", ({ message }) => this.#warn(message)),
    ];
    this.#ticker = setInterval(() => this.#tick(), 1000);
    window.addEventListener("beforeunload", this.#ask); // a stream ends with its page
    window.addEventListener("pagehide", this.#leave);
    this.#draw();
  }

  attached() {
    this.comments.attached();
    this.stage.open().then(() => this.#draw());
  }

  destroy() {
    this.publisher.stop();
    window.removeEventListener("beforeunload", this.#ask);
    window.removeEventListener("pagehide", this.#leave);
    clearInterval(this.#ticker);
    this.#offs.forEach((off) => off());
    this.#parts.forEach((part) => part.destroy());
  }

  async #goLive() {
    const { video, audio } = this.stage.sources;
    this.go.disabled = true;
    this.warning.hidden = true;
    await attempt(async () => {
      await this.state.start(this.details.values());
      this.publisher.start({ video, audio, maxKbit: this.stage.kbit });
    });
    this.#draw();
  }

  #confirm() {
    const submit = async () => {
      this.#ending = true; // the server hangs up first: to do so here would tell everybody of an interruption
      try {
        await this.state.stop();
        this.publisher.stop();
      } finally {
        this.#ending = false;
      }
    };
    confirmDialog({ title: t("studio.endTitle"), text: t("studio.endText"), submitLabel: t("studio.end"), testid: "confirm-end", submit });
  }

  #publisher(state, error) {
    if (error && state === "idle" && !this.#ending) this.#warn(error.message);
    this.stage.sending(state !== "idle");
    if (state === "live" || (state === "idle" && error)) this.state.refresh();
    this.#draw();
  }

  #follow() {
    const before = this.#interrupted;
    this.#interrupted = Boolean(this.#room.live?.interrupted);
    if (this.#interrupted && !before) this.publisher.interrupted();
  }

  #warn(message) {
    fill(this.warning, message).hidden = false;
  }

  #draw() {
    const { stream, publishing } = this.state;
    const shown = SHOWN[stream.state];
    this.badge.textContent = t(shown === "live" && stream.test ? "watch.test" : `studio.state.${shown}`);
    this.badge.dataset.state = stream.state;
    this.badge.classList.toggle("quiet", shown !== "live" || stream.test);
    const own = this.publisher.state;
    this.own.dataset.state = own;
    this.own.textContent = own === "idle" || own === "live" || this.#ending ? "" : t(`studio.publisher.${own}`);
    const busy = own !== "idle";
    this.go.hidden = busy;
    this.go.textContent = t(publishing ? "studio.takeOver" : "studio.goLive");
    this.go.disabled = this.stage.sources.video === null;
    this.end.hidden = !publishing && !busy;
    const viewers = this.#room.live?.viewers;
    this.viewers.hidden = !viewers;
    if (viewers) fill(this.viewers, icon("eye"), number(viewers.now), h("span.sr", null, t("watch.viewers"))).title = t("watch.viewersAll", { now: viewers.now, peak: viewers.peak ?? viewers.now, unique: viewers.unique ?? viewers.now });
    this.#tick();
  }

  #tick() {
    const { stream, publishing } = this.state;
    const text = publishing && stream.started_at ? clock(this.#room.client.now() - stream.started_at) : "";
    if (this.time.textContent !== text) this.time.textContent = text;
  }
}
