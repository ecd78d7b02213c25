import { field, formDialog, select, toggle } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { duration, fullTime, t } from "../lib/i18n.js";
import { attempt } from "../lib/toast.js";
import { nameOf } from "../lib/text.js";
import { RANK } from "../model/room.js";

const SLOW = [0, 5, 10, 30, 60, 300, 900, 3600, 21_600];
const DELAY = [0, 5, 10, 30, 60, 300];
const SCANNED_EVENTS = 5;

/** All settings of a room; what only owners may change is shown to moderators, but off. */
export function settingsDialog(room) {
  const { settings, info } = room;
  const owner = room.rank >= RANK.owner || room.client.welcome?.user.roles?.includes("admin");
  const admin = room.client.welcome?.user.roles?.includes("admin");
  const seconds = (name, choices) => select({ name, value: settings[name] ?? 0, testid: `setting-${name}` }, withPresent(choices, settings[name] ?? 0).map((value) => [value, value === 0 ? t("settings.off") : duration(value)]));
  const flag = (name) => toggle(t(`settings.${name}`), h("input", { name, checked: Boolean(settings[name]), testid: `setting-${name}` }), t(`settings.${name}Hint`));
  const title = h("input", { name: "title", value: info.title, maxlength: 100, required: true, dir: "auto", disabled: !owner, testid: "setting-title" });
  const write = select({ name: "write", value: settings.write, disabled: !owner, testid: "setting-write" }, ["everyone", "members", "entitled", "moderators"].map((value) => [value, t(`settings.write.${value}`)]));
  const integer = (name, min, max) => h("input", { name, type: "number", min, max, step: 1, required: true, value: String(settings[name] ?? min), testid: `setting-${name}` });
  formDialog({
    title: t("settings.title"),
    submitLabel: t("settings.save"),
    testid: "settings",
    fields: [
      section("settings.general", field(t("create.name"), title), field(t("settings.history"), select({ name: "history", value: settings.history, testid: "setting-history" }, ["visible", "from_join"].map((value) => [value, t(`settings.history.${value}`)])))),
      section("settings.writing",
        field(t("settings.write"), write),
        field(t("settings.entitlement"), h("input", { name: "entitlement", value: settings.entitlement ?? "", maxlength: 64, disabled: !owner, testid: "setting-entitlement" }), t("settings.entitlementHint")),
        h("div.columns", null, field(t("settings.slow_seconds"), seconds("slow_seconds", SLOW)), field(t("settings.delay_seconds"), seconds("delay_seconds", DELAY))),
        h("div.columns", null, field(t("settings.max_text"), integer("max_text", 1, 16_000)), field(t("settings.min_account_hours"), integer("min_account_hours", 0, 87_600))),
        flag("emoji_only"), flag("unique")),
      section("settings.safety", flag("locked"), flag("invite_only"),
        field(t("settings.policy"), select({ name: "policy", value: settings.policy, disabled: !admin, testid: "setting-policy" }, ["default", "none"].map((value) => [value, t(`settings.policy.${value}`)])), t("settings.policyHint"))),
      sanctions(room),
    ],
    submit: async (values) => {
      const changes = changed(values, settings);
      const newTitle = values.title !== undefined && values.title.trim() !== info.title ? values.title.trim() : undefined;
      if (newTitle === undefined && Object.keys(changes).length === 0) return;
      await room.command("room.update", { title: newTitle, settings: changes });
    },
  });
}

const section = (key, ...parts) => h("fieldset.section", null, h("legend", null, t(key)), parts);

const withPresent = (choices, present) => [...new Set([...choices, present])].sort((a, b) => a - b);

/** What the form says otherwise than the settings; controls that are off are not in `values`. */
function changed(values, settings) {
  const changes = {};
  const put = (name, value) => value !== (settings[name] ?? value) && (changes[name] = value);
  for (const name of ["slow_seconds", "delay_seconds", "max_text", "min_account_hours"]) put(name, Number(values[name]));
  for (const name of ["locked", "invite_only", "emoji_only", "unique"]) put(name, values[name] === "on");
  for (const name of ["write", "history", "policy", "entitlement"]) if (values[name] !== undefined) put(name, values[name]);
  return changes;
}

/** Bans and mutes still in force, as the last thousand events of the room's log tell. */
function sanctions(room) {
  const list = h("ul.invites", { role: "list", testid: "ban-list" });
  const details = h("details.section", null, h("summary", null, t("settings.sanctions")), h("p.hint", null, t("settings.sanctionsHint")), list);
  details.addEventListener("toggle", () => details.open && attempt(() => load()));
  async function load() {
    const people = [...(await sanctioned(room)).values()];
    list.replaceChildren(...(people.length > 0 ? people.map((event) => row(event)) : [h("p.empty", null, t("settings.noSanctions"))]));
  }
  function row({ type, user, name, until }) {
    const lift = type === "member.banned" ? "member.unban" : "member.unmute";
    const what = type === "member.banned" ? t("members.banned") : t("members.muted");
    return h("li", { data: { user } }, h("b", { dir: "auto" }, h("bdi", null, nameOf({ id: user, name }))), h("small", null, until ? `${what} · ${fullTime(until)}` : what),
      h("button.plain.small", { type: "button", testid: "lift-sanction", onclick: async () => (await attempt(() => room.command(lift, { user }))) && load() }, t("settings.lift")));
  }
  return details;
}

async function sanctioned(room) {
  const latest = new Map();
  let before;
  for (let page = 0; page < SCANNED_EVENTS; page++) {
    const { events, more } = await room.command("room.events", { before, limit: 200 });
    for (const event of events.toReversed()) {
      const kind = { "member.banned": "ban", "member.unbanned": "ban", "member.muted": "mute", "member.unmuted": "mute" }[event.type];
      if (kind && !latest.has(`${kind} ${event.user}`)) latest.set(`${kind} ${event.user}`, event);
    }
    if (!more || events.length === 0) break;
    before = events[0].pos ?? events[0].from;
  }
  for (const [key, { type, until }] of latest) {
    if (!["member.banned", "member.muted"].includes(type) || (until && until < Date.now())) latest.delete(key);
  }
  return latest;
}
