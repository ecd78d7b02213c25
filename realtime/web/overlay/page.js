/**
 * `/overlay/ID`: a live room's comments and tips on transparent ground, as a browser source of OBS.
 *
 * Of the address: `token` says who looks (without it nobody, where the server lets such viewers in); `size` of the text
 * in pixels (24; 10 to 96); `count` of rows (12; 1 to 50); `seconds` that each stays (0: until others push it out);
 * `side` (`start`, `end`); `ground` (`chip`, `none`).
 *
 * Who may not look is told why where the comments would be: it is the creator, who is just adding the source.
 *
 * Hooks for end-to-end tests: overlay-comment, overlay-tip, overlay-problem; `data-state` (joined, failed) on the body.
 */
import { GalaxyClient } from "../galaxy-live.js";
import { roomOfAddress } from "../lib/addresses.js";
import { h } from "../lib/dom.js";
import { errorText, t } from "../lib/i18n.js";
import { nameOf } from "../lib/text.js";

const asked = new URLSearchParams(location.search);
const figure = (name, usual, least, most) => {
  const value = asked.has(name) ? Number(asked.get(name)) : usual;
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : usual;
};
const [size, count, seconds] = [figure("size", 24, 10, 96), figure("count", 12, 1, 50), figure("seconds", 0, 0, 3600)];
const list = document.getElementById("comments");

document.body.style.fontSize = `${size}px`;
document.body.classList.toggle("end", asked.get("side") === "end");
document.body.classList.toggle("bare", asked.get("ground") === "none");

function show(row) {
  list.append(row);
  while (list.children.length > count) list.firstChild.remove();
  if (seconds > 0) setTimeout(() => row.remove(), seconds * 1000);
}

const name = (user) => h("b.name", null, h("bdi", null, nameOf(user)));

const SHOWN = {
  "message.created": ({ pos, by, message }) => message && show(h("li", { testid: "overlay-comment", dir: "auto", data: { pos } }, name(by), " ", message.text)),
  "message.edited": ({ target, message }) => message && list.querySelector(`[data-pos="${target}"]`)?.lastChild.replaceWith(message.text),
  "message.deleted": ({ target }) => list.querySelector(`[data-pos="${target}"]`)?.remove(),
  "tip.settled": ({ by, amount, asset, text }) => show(h("li.tip", { testid: "overlay-tip", dir: "auto" }, h("b", null, t("tip.row", { name: nameOf(by), amount, asset })), text && ` ${text}`)),
};

const room = roomOfAddress();
const url = `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/socket`;
const token = asked.get("token");
const client = new GalaxyClient({ url, storage: null, ...(token ? { token: (reason) => (reason === "rejected" ? null : token) } : { anonymous: true }) });
client.on("event", (event) => event.room === room && SHOWN[event.type]?.(event));
client.start();
client.on("joined", () => (document.body.dataset.state = "joined"));
client.connected().then(() => client.join(room)).catch((error) => {
  document.body.dataset.state = "failed";
  show(h("li", { testid: "overlay-problem" }, client.state === "closed" ? t("overlay.token") : errorText(error)));
});
