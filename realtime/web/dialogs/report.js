import { field, formDialog, select } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { toast } from "../lib/toast.js";

const REASONS = ["spam", "harassment", "hate", "sexual", "violence", "other"];

/** Tells the moderators about a message. */
export function reportDialog(room, message) {
  formDialog({
    title: t("report.title"),
    testid: "report-dialog",
    submitLabel: t("report.submit"),
    fields: [
      h("blockquote", { dir: "auto" }, message.text.slice(0, 300)),
      field(t("report.reason"), select({ name: "reason" }, REASONS.map((reason) => [reason, t(`report.${reason}`)]))),
      field(t("report.text"), h("textarea", { name: "text", rows: 3, maxlength: 2000, dir: "auto" })),
    ],
    submit: async ({ reason, text }) => {
      await room.command("report.create", { target: message.pos, user: message.by.id, reason, text: text.trim() || undefined });
      toast(t("report.thanks"));
    },
  });
}
