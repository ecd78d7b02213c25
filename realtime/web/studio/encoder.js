import { confirmDialog, field } from "../lib/dialog.js";
import { h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { attempt, toast } from "../lib/toast.js";

/** Addresses and the stream key, for OBS and other encoders. */
export function encoderCard(room, state) {
  const value = (name, props = {}) => h("input", { readonly: true, testid: name, autocomplete: "off", spellcheck: "false", onfocus: (event) => event.target.select(), ...props });
  const rtmp = value("rtmp-address");
  const key = value("stream-key", { type: "password" });
  const whip = value("whip-address");
  const tool = (testid, mark, label, run) => h("button.icon-button", { type: "button", testid, title: label, "aria-label": label, onclick: run }, icon(mark));
  const copy = (name, control, label) => tool(`copy-${name}`, "copy", label, async () => {
    if (await attempt(() => navigator.clipboard.writeText(control.value).then(() => true))) toast(t("copied"));
  });
  const show = tool("show-key", "eye", t("studio.showKey"), () => {
    key.type = key.type === "password" ? "text" : "password";
    show.setAttribute("aria-pressed", String(key.type === "text"));
  });
  const load = async (rotate = false) => {
    const reply = await room.command("live.key", rotate ? { rotate } : {});
    [rtmp.value, key.value, whip.value] = [reply.rtmp, reply.key, reply.whip];
  };
  const rotate = () => confirmDialog({ title: t("studio.rotate"), text: t("studio.rotateText"), submitLabel: t("studio.rotate"), testid: "confirm-rotate", submit: () => load(true) });
  const row = (label, control, ...tools) => h("div.copy-row", null, field(label, control), tools);
  const letIn = h("div.let-in", { hidden: true }, h("p.hint", null, t("studio.letInText")), h("button.plain.small", { type: "button", testid: "let-in", onclick: () => attempt(() => state.start()) }, t("studio.letIn")));
  const draw = () => (letIn.hidden = state.stream.state !== "stopped");
  const off = state.on("change", draw);
  draw();
  attempt(() => load());
  const element = h("section.studio-card", { "aria-label": t("studio.encoder") },
    h("h2", null, t("studio.encoder")),
    h("p.hint", null, t("studio.encoderText")),
    row(t("studio.rtmp"), rtmp, copy("rtmp", rtmp, t("studio.copyRtmp"))),
    row(t("studio.key"), key, show, copy("key", key, t("studio.copyKey")), tool("rotate-key", "rotate", t("studio.rotate"), rotate)),
    row(t("studio.whip"), whip, copy("whip", whip, t("studio.copyWhip"))),
    letIn);
  return { element, destroy: off };
}
