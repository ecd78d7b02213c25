import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";

/** How long figures stand: they come every two seconds. */
const STALE_MS = 8_000;

/** What cannot be measured is null, or not there: RTMP tells of no loss. */
const known = (value) => value !== undefined && value !== null;

/** What the server receives, in figures, and what would make it better. */
export function healthCard(room, state) {
  const list = h("dl.figures", { testid: "health" });
  const advice = h("ul.advice", { role: "list", testid: "advice", "aria-live": "polite" });
  const none = h("p.empty", null, t("health.none"));
  let timer = null;
  let said = "";
  const figures = ({ kbit, fps, width, height, video, audio, keyframe_ms, loss_percent, round_trip_ms }) => [
    ["kbit", t("health.kbitValue", { value: kbit })],
    ["picture", width > 0 ? `${width}×${height}` : "–"],
    ["fps", t("health.fpsValue", { value: Math.round(fps) })],
    ["codecs", [video, audio].filter(Boolean).join(" · ") || "–"],
    ["keyframe", keyframe_ms ? t("player.seconds", { seconds: Math.round(keyframe_ms / 100) / 10 }) : "–"],
    known(loss_percent) && ["loss", `${loss_percent} %`],
    known(round_trip_ms) && ["roundTrip", t("health.ms", { value: Math.round(round_trip_ms) })],
  ];
  const clear = () => {
    room.health = null;
    fill(list);
    fill(advice);
    said = "";
    none.hidden = false;
  };
  const draw = () => {
    const { health } = room;
    none.hidden = true;
    fill(list, figures(health).filter(Boolean).map(([name, value]) => h("div", null, h("dt", null, t(`health.${name}`)), h("dd", { testid: `health-${name}` }, value))));
    const text = JSON.stringify(health.advice);
    if (text !== said) fill(advice, health.advice.length > 0 ? health.advice.map((line) => h("li", null, icon("alert"), line)) : h("li.well", null, icon("check"), t("health.well")));
    said = text;
    clearTimeout(timer);
    timer = setTimeout(clear, STALE_MS);
  };
  const offs = [room.on("health", draw), state.on("change", () => !state.publishing && room.health && clear())];
  const element = h("section.studio-card", { "aria-label": t("health.title") }, h("h2", null, t("health.title")), none, list, advice);
  return { element, destroy: () => (clearTimeout(timer), offs.forEach((off) => off())) };
}
