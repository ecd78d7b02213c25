import { newKey } from "../galaxy-live.js";
import { formDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";

/** Asks before an invite link is used. `joined(room)` opens the room; `closed()` runs whatever happened. */
export function acceptInviteDialog(client, code, joined, closed) {
  const key = newKey();
  const opened = formDialog({
    title: t("accept.title"),
    fields: [h("div.invitation", null, icon("invite"), h("p", null, t("accept.text")))],
    submitLabel: t("accept.submit"),
    testid: "accept-invite",
    submit: async () => joined((await client.request("invite.accept", { code, key })).room),
  });
  opened.closed.then(closed);
}
