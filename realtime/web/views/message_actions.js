/** What one may do with a message: as a toolbar, as a menu, and by single keys. */
import { confirmDialog } from "../lib/dialog.js";
import { fill, h } from "../lib/dom.js";
import { QUICK, pickEmoji } from "../lib/emoji.js";
import { t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { menu } from "../lib/popover.js";
import { attempt, toast } from "../lib/toast.js";

/** @returns {{id, label, icon, key?, run(anchor), danger?, menuOnly?}[]} those that the viewer's role allows */
export function actionsFor(message, { room, host, timeline }) {
  const own = message.by?.id === room.me.id;
  const alive = !message.deleted && !room.info.closed;
  const writes = alive && host.mayWrite();
  const command = (type) => () => attempt(() => room.command(type, { target: message.pos }));
  return [
    writes && { id: "react", label: t("action.react"), icon: "smile", key: "+", run: (anchor) => pickEmoji(anchor, (emoji) => timeline.react(message, emoji)) },
    writes && { id: "reply", label: t("action.reply"), icon: "reply", key: "r", run: () => host.reply(message) },
    writes && own && { id: "edit", label: t("action.edit"), icon: "edit", key: "e", run: () => host.edit(message) },
    !message.deleted && { id: "copy", label: t("action.copy"), icon: "copy", key: "c", menuOnly: true, run: () => copy(message.text) },
    alive && room.moderates && !message.pinned && { id: "pin", label: t("action.pin"), icon: "pin", key: "p", menuOnly: true, run: command("message.pin") },
    alive && room.moderates && message.pinned && { id: "unpin", label: t("action.unpin"), icon: "pin", key: "p", menuOnly: true, run: command("message.unpin") },
    !message.deleted && !own && { id: "report", label: t("action.report"), icon: "alert", menuOnly: true, run: () => host.report(message) },
    !message.deleted && (own || room.moderates) && { id: "delete", label: t("action.delete"), icon: "trash", key: "Delete", danger: true, menuOnly: true, run: () => confirmDelete(message, room) },
  ].filter(Boolean);
}

function confirmDelete(message, room) {
  const preview = h("blockquote", { dir: "auto" }, message.text.slice(0, 300));
  confirmDialog({ title: t("delete.title"), text: t("delete.text"), detail: preview, submitLabel: t("action.delete"), testid: "confirm-delete", submit: () => room.command("message.delete", { target: message.pos }) });
}

async function copy(text) {
  await attempt(() => navigator.clipboard.writeText(text));
  toast(t("copied"));
}

/** Moves the one toolbar into `row`. */
export function toolbar(element, row, message, context) {
  const actions = actionsFor(message, context);
  const button = (action) =>
    h("button", { type: "button", testid: `msg-${action.id}`, title: action.label, "aria-label": action.label, onclick: (event) => action.run(event.currentTarget) }, icon(action.icon));
  const rest = actions.filter(({ menuOnly }) => menuOnly);
  const quick = actions.some(({ id }) => id === "react") &&
    QUICK.map((emoji) => h("button.emoji.quick", { type: "button", "aria-label": t("action.reactWith", { emoji }), onclick: () => context.timeline.react(message, emoji) }, emoji));
  const more = h("button", { type: "button", testid: "msg-more", title: t("action.more"), "aria-label": t("action.more"), "aria-haspopup": "menu", onclick: (event) => messageMenu(event.currentTarget, rest) }, icon("more"));
  fill(element, quick, actions.filter(({ menuOnly }) => !menuOnly).map(button), rest.length > 0 && more);
  if (element.childElementCount > 0) row.append(element);
  else element.remove();
}

export function messageMenu(anchor, actions) {
  if (actions.length === 0) return;
  menu(anchor, actions.map(({ id, label, icon: name, danger, run }) => ({ label, icon: name, danger, testid: `msg-${id}`, run: () => run(anchor) })));
}

/** Runs the action of a key, if there is one. */
export function shortcut(key, row, actions) {
  if (key === "Enter") {
    messageMenu(row, actions);
    return true;
  }
  const action = actions.find((each) => each.key === (key.length === 1 ? key.toLowerCase() : key));
  action?.run(row);
  return Boolean(action);
}
