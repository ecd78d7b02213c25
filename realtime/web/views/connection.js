import { fill, h } from "../lib/dom.js";
import { clock, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";

/** Codes of `closed` that have a text of their own. */
const CLOSED = { 3500: "closed.token", 3501: "closed.requests", 3503: "closed.removed", 3504: "closed.connections" };
/** A connection that comes back at once is not worth a word. */
const PATIENCE_MS = 700;

/** A bar that says how it stands with the connection, whenever it is not simply online. */
export function connectionBar(client) {
  const element = h("div.connection", { role: "status", testid: "connection-state", data: { state: client.state }, hidden: true });
  let since = Date.now();
  let shown = "";
  const draw = () => {
    const { state } = client;
    const unsent = client.outbox.list().filter(({ state: each }) => each === "queued" || each === "sending").length;
    const text = textFor(client, unsent);
    element.dataset.state = state;
    element.hidden = state === "online" || (state !== "closed" && Date.now() - since < PATIENCE_MS);
    if (text === shown) return;
    shown = text;
    const retry = state === "offline" || state === "closed";
    fill(element, icon(retry ? "offline" : "clock"), h("span", null, text), retry && h("button.link", { type: "button", testid: "connect-now", onclick: () => (state === "closed" ? client.start() : client.nudge()) }, t("connection.now")));
  };
  let closedCode;
  const textFor = (client, unsent) => {
    const kept = unsent > 0 ? ` ${t("connection.unsent", { count: unsent })}` : "";
    if (client.state === "closed") return t(CLOSED[closedCode] ?? "connection.closed") + kept;
    if (client.state === "offline" && client.retryInMs > 1500) return t("connection.offlineFor", { time: clock(client.retryInMs) }) + kept;
    return t(`connection.${client.state}`) + kept;
  };
  const offs = [
    client.on("state", ({ code }) => {
      if (client.state === "online" || element.hidden) since = Date.now();
      closedCode = code;
      draw();
    }),
    client.outbox.on("change", draw),
  ];
  const ticker = setInterval(draw, 500);
  draw();
  return {
    element,
    destroy() {
      offs.forEach((off) => off());
      clearInterval(ticker);
    },
  };
}
