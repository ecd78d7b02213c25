import { memberMenu } from "../dialogs/member_actions.js";
import { avatar } from "../lib/avatar.js";
import { fill, h, perFrame, roving } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { nameOf } from "../lib/text.js";

/** Who is in the room, by role; those online first. */
export function membersPanel(room) {
  const filter = h("input", { type: "search", placeholder: t("members.filter"), "aria-label": t("members.filter"), testid: "member-filter", oninput: () => draw() });
  const list = h("div.member-groups");
  const draw = perFrame(() => fill(list, groups(room, filter.value)));
  const off = room.on("change", draw);
  roving(list, "button");
  draw();
  return { title: t("members.title"), body: h("div.panel-body", { testid: "member-panel" }, filter, list), destroy: off };
}

function groups(room, filter) {
  if (room.rank === 0) return listeners(room);
  if (!room.members) return h("p.empty", null, t("loading"));
  const wanted = filter.trim().toLowerCase();
  const people = [...room.members.values()].filter(({ id, name }) => nameOf({ id, name }).toLowerCase().includes(wanted) || id.toLowerCase().includes(wanted));
  return ["owner", "moderator", "member"].map((role) => {
    const those = people.filter((person) => person.role === role).sort((a, b) => room.isOnline(b.id) - room.isOnline(a.id) || nameOf(a).localeCompare(nameOf(b)));
    return those.length > 0 && [h("h3", null, t(`role.${role}.many`), " ", h("span", null, those.length)), h("ul", { role: "list" }, those.map((person) => memberRow(room, person)))];
  });
}

function listeners(room) {
  const people = [...(room.onlineIds ?? [])].map((id) => room.userOf(id));
  if (people.length === 0) return h("p.empty", null, t("members.joinToSee"));
  return [h("h3", null, t("members.listening"), " ", h("span", null, people.length)), h("ul", { role: "list" }, people.map((person) => memberRow(room, person)))];
}

function memberRow(room, person) {
  const online = room.isOnline(person.id);
  const muted = person.muted_until !== undefined && person.muted_until > Date.now();
  return h("li", null, h("button.member", { type: "button", testid: "member-item", data: { user: person.id, online: String(online) }, "aria-haspopup": "menu", onclick: (event) => memberMenu(event.currentTarget, person, room) },
    h(online ? "span.presence.online" : "span.presence", null, avatar(person)),
    h("span.member-name", { dir: "auto" }, h("bdi", null, nameOf(person))),
    person.id === room.me.id && h("small", null, t("members.you")),
    muted && h("span.muted-mark", { title: t("members.muted") }, icon("clock"), h("span.sr", null, t("members.muted"))),
    h("span.sr", null, t(online ? "members.online" : "members.offline")),
  ));
}
