import { dialog, field, select } from "../lib/dialog.js";
import { fill, h } from "../lib/dom.js";
import { shortTime, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt, toast } from "../lib/toast.js";
import { ends } from "../model/room.js";

const DAY = 86_400;

export const inviteLink = (code) => `${location.origin}/#/invite/${encodeURIComponent(code)}`;

async function copy(link) {
  if (await attempt(() => navigator.clipboard.writeText(link).then(() => true))) toast(t("copied"));
}

/** Makes an invite link; moderators also see the ones there are, and can revoke them. */
export function inviteDialog(room) {
  const uses = select({ name: "uses", testid: "invite-uses" }, [["", t("invite.anyUses")], ...[1, 5, 25, 100].map((count) => [count, t("invite.uses", { count })])]);
  const lasts = select({ name: "seconds", testid: "invite-seconds", value: 7 * DAY }, [[3600, t("time.hour")], [DAY, t("time.day")], [7 * DAY, t("time.week")], [30 * DAY, t("time.month")], ["", t("time.forever")]]);
  const made = h("div.made-link", { hidden: true });
  const list = h("ul.invites", { role: "list", testid: "invite-list" });
  const make = async () => {
    const reply = await attempt(() => room.command("invite.create", { uses: Number(uses.value) || undefined, seconds: Number(lasts.value) || undefined }));
    if (!reply) return;
    const link = h("input", { readonly: true, value: inviteLink(reply.code), testid: "invite-link", "aria-label": t("invite.link"), onfocus: (event) => event.target.select() });
    fill(made, link, h("button.primary", { type: "button", testid: "invite-copy", onclick: () => copy(link.value) }, icon("copy"), t("invite.copy"))).hidden = false;
    link.focus();
    await load();
  };
  const load = async () => {
    if (!room.moderates) return;
    const reply = await attempt(() => room.command("invite.list"));
    if (reply) fill(list, reply.invites.length > 0 ? reply.invites.map((invite) => row(room, invite, load)) : h("p.empty", null, t("invite.none")));
  };
  dialog({
    title: t("invite.title"),
    testid: "invite-dialog",
    body: [
      h("p.hint", null, t("invite.text")),
      h("div.columns", null, field(t("invite.usesLabel"), uses), field(t("invite.lastsLabel"), lasts)),
      h("button.primary", { type: "button", testid: "invite-create", onclick: make }, t("invite.create")),
      made,
      room.moderates && [h("h3", null, t("invite.active")), list],
    ],
  });
  load();
}

function row(room, { code, uses, until }, reload) {
  const end = ends(until);
  const facts = [uses === null || uses === undefined ? t("invite.anyUses") : t("invite.usesLeft", { count: uses }), end === null ? t("time.forever") : t("invite.until", { time: shortTime(end) })];
  const revoke = async () => {
    if (await attempt(() => room.command("invite.revoke", { code }))) await reload();
  };
  return h("li", { testid: "invite-item", data: { code } }, h("code", null, code), h("small", null, facts.join(" · ")),
    h("button.icon-button", { type: "button", title: t("invite.copy"), "aria-label": t("invite.copy"), onclick: () => copy(inviteLink(code)) }, icon("copy")),
    h("button.icon-button", { type: "button", testid: "invite-revoke", title: t("invite.revoke"), "aria-label": t("invite.revoke"), onclick: revoke }, icon("trash")));
}
