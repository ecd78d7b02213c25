import { avatar } from "../lib/avatar.js";
import { confirmDialog, field, formDialog, select } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { menu } from "../lib/popover.js";
import { attempt } from "../lib/toast.js";
import { nameOf } from "../lib/text.js";
import { RANK } from "../model/room.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;

/** The menu of a person: what the viewer's role allows, against those below it. */
export function memberMenu(anchor, user, room) {
  const actions = memberActions(user, room);
  if (actions.length > 0) menu(anchor, actions);
}

function memberActions(user, room) {
  const member = room.members?.get(user.id);
  const role = member?.role ?? "none";
  const self = user.id === room.me.id;
  const admin = room.client.welcome?.user.roles?.includes("admin");
  const above = !self && (admin || (room.moderates && RANK[role] < room.rank));
  const owner = (admin || room.rank >= RANK.owner) && !self && role !== "none";
  const muted = member?.muted_until !== undefined && member.muted_until > Date.now();
  const command = (type, fields) => () => attempt(() => room.command(type, { user: user.id, ...fields }));
  const become = (name) => ({ label: t(`member.make.${name}`), icon: "shield", testid: `make-${name}`, run: () => makeRole(user, name, room) });
  return [
    owner && role !== "moderator" && become("moderator"),
    owner && role !== "owner" && become("owner"),
    owner && role !== "member" && become("member"),
    above && owner && null,
    above && { label: t("member.mute"), icon: "clock", testid: "mute", run: () => muteDialog(user, room) },
    above && (muted || !member) && { label: t("member.unmute"), icon: "check", testid: "unmute", run: command("member.unmute") },
    above && member && { label: t("member.kick"), icon: "leave", testid: "kick", danger: true, run: () => kickDialog(user, room) },
    above && { label: t("member.ban"), icon: "alert", testid: "ban", danger: true, run: () => banDialog(user, room) },
    above && !member && { label: t("member.unban"), icon: "check", testid: "unban", run: command("member.unban") },
  ].filter((item) => item !== false && item !== undefined);
}

const person = (user) => h("div.person", null, avatar(user), h("b", { dir: "auto" }, h("bdi", null, nameOf(user))), h("small", { dir: "auto" }, user.id));
const reasonField = () => field(t("member.reason"), h("input", { name: "reason", maxlength: 500, dir: "auto", autocomplete: "off", testid: "reason" }), t("member.reasonHint"));
const optional = (value) => (value ? Number(value) : undefined);

function makeRole(user, role, room) {
  confirmDialog({ title: t(`member.make.${role}`), text: t(`member.makeText.${role}`), detail: person(user), submitLabel: t("member.makeSubmit"), testid: "confirm-role", submit: () => room.command("member.role", { user: user.id, role }) });
}

function muteDialog(user, room) {
  const lasts = select({ name: "seconds", value: 10 * MINUTE, testid: "mute-seconds" }, [[MINUTE, t("time.minute")], [10 * MINUTE, t("time.tenMinutes")], [HOUR, t("time.hour")], [DAY, t("time.day")], [7 * DAY, t("time.week")], ["", t("time.untilLifted")]]);
  formDialog({
    title: t("member.mute"), fields: [person(user), field(t("member.lasts"), lasts), reasonField()], submitLabel: t("member.mute"), testid: "mute-dialog", danger: true,
    submit: ({ seconds, reason }) => room.command("member.mute", { user: user.id, seconds: optional(seconds), reason: reason.trim() || undefined }),
  });
}

function kickDialog(user, room) {
  formDialog({
    title: t("member.kick"), fields: [h("p", null, t("member.kickText")), person(user), reasonField()], submitLabel: t("member.kick"), testid: "kick-dialog", danger: true,
    submit: ({ reason }) => room.command("member.kick", { user: user.id, reason: reason.trim() || undefined }),
  });
}

function banDialog(user, room) {
  const lasts = select({ name: "seconds", testid: "ban-seconds" }, [["", t("time.untilLifted")], [HOUR, t("time.hour")], [DAY, t("time.day")], [7 * DAY, t("time.week")], [30 * DAY, t("time.month")]]);
  const purge = select({ name: "purge", testid: "ban-purge" }, [["", t("member.purgeNone")], [HOUR, t("time.lastHour")], [DAY, t("time.lastDay")], [7 * DAY, t("time.lastWeek")]]);
  formDialog({
    title: t("member.ban"), fields: [h("p", null, t("member.banText")), person(user), field(t("member.lasts"), lasts), field(t("member.purge"), purge), reasonField()], submitLabel: t("member.ban"), testid: "ban-dialog", danger: true,
    submit: ({ seconds, purge: purged, reason }) => room.command("member.ban", { user: user.id, seconds: optional(seconds), purge_seconds: optional(purged), reason: reason.trim() || undefined }),
  });
}
