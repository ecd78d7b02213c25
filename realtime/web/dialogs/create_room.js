import { field, formDialog } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { newKey } from "../galaxy-live.js";

/** @param opened called with the id of the new room */
export function createRoomDialog(client, opened) {
  const key = newKey();
  const title = h("input", { name: "title", required: true, maxlength: 100, autofocus: true, autocomplete: "off", dir: "auto", testid: "create-title", placeholder: t("create.placeholder") });
  formDialog({
    title: t("create.title"),
    fields: [
      field(t("create.name"), title),
      choice("kind", t("create.kind"), [["group", "hash", t("create.group"), t("create.groupHint")], ["live", "live", t("create.live"), t("create.liveHint")]]),
      choice("visibility", t("create.visibility"), [["private", "lock", t("create.private"), t("create.privateHint")], ["public", "globe", t("create.public"), t("create.publicHint")]]),
    ],
    submitLabel: t("create.submit"),
    testid: "create-room",
    submit: async ({ title: name, kind, visibility }) => {
      const { room } = await client.request("room.create", { title: name.trim(), kind, visibility, key });
      opened(room.id);
    },
  });
}

function choice(name, label, options) {
  const option = ([value, mark, text, hint], index) =>
    h("label.choice", null, h("input", { type: "radio", name, value, checked: index === 0, testid: `create-${value}` }), icon(mark), h("span", null, h("b", null, text), h("small", null, hint)));
  return h("fieldset.choices", null, h("legend", null, label), options.map(option));
}
