import { h } from "../lib/dom.js";
import { clock, t } from "../lib/i18n.js";
import { RANK, ends } from "../model/room.js";

const joinButton = (host) => h("button.primary", { type: "button", testid: "member-join", onclick: () => host.join() }, t("write.join"));

/**
 * Why the viewer cannot write here now, or null.
 * @returns {{icon: string, text: string, action?: Node} | null}
 */
export function writeBar(room, host) {
  const { settings, rank } = room;
  if (room.anonymous) return { icon: "users", text: t("write.signIn"), action: h("button.primary.small", { type: "button", testid: "write-sign-in", onclick: () => host.signIn() }, t("watch.signIn")) };
  if (room.info?.closed) return { icon: "lock", text: t("write.closed") };
  if (room.mutedUntil !== null) {
    const until = ends(room.mutedUntil);
    const text = until === null ? t("write.muted") : t("write.mutedFor", { time: clock(until - Date.now()) });
    return { icon: "clock", text: room.you.reason ? `${text} · ${t("removed.reason", { reason: room.you.reason })}` : text };
  }
  if (rank >= RANK.moderator) return null;
  if (settings.locked) return { icon: "lock", text: t("write.locked") };
  if (settings.write === "moderators") return { icon: "lock", text: t("write.moderators") };
  if (settings.write === "members" && rank < RANK.member) {
    if (settings.invite_only) return { icon: "lock", text: t("write.inviteOnly") };
    return { icon: "users", text: t("write.members"), action: joinButton(host) };
  }
  return null;
}
