import { publicRooms } from "../dialogs/browse.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { nameOf } from "../lib/text.js";

/** What is shown while no room is open: the public rooms, and how to make one. */
export function homeView(app) {
  const rooms = publicRooms(app.client, (id) => app.open(id));
  const off = app.client.on("welcome", () => rooms.load());
  if (app.client.welcome) rooms.load();
  const element = h("section.home", { testid: "home-view", "aria-label": t("sidebar.home") },
    h("h1", { dir: "auto" }, t("home.hello", { name: nameOf(app.me) })),
    h("p.hint", null, t("home.text")),
    h("div.row", null, h("button.primary", { type: "button", testid: "home-create", onclick: () => app.create() }, icon("plus"), t("sidebar.create"))),
    h("h2", null, t("home.public")), rooms.list, rooms.more);
  return { element, destroy: off };
}
