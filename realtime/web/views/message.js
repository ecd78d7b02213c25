/** One row of the timeline: a message, an unsent or waiting one, a notice, a divider. */
import { avatar } from "../lib/avatar.js";
import { h } from "../lib/dom.js";
import { day, duration, errorText, fullTime, shortTime, t, timeOfDay } from "../lib/i18n.js";
import { icon, roomIcon } from "../lib/icons.js";
import { popover } from "../lib/popover.js";
import { lengthOf, nameOf, richText } from "../lib/text.js";

const LONG_LINES = 24;
const LONG_TEXT = 3000;

export function dayRow(at) {
  return h("li.day", { role: "separator", "aria-label": day(at) }, h("span", null, day(at)));
}

export function unreadRow() {
  return h("li.unread", { role: "separator", testid: "unread-divider" }, h("span", null, t("unread.divider")));
}

export function beginningRow(room) {
  const title = h("bdi", null, room.info.title);
  return h("li.beginning", null, h("span.room-mark", null, icon(roomIcon(room.info))), h("h2", { dir: "auto" }, title), h("p", null, t("timeline.beginning")));
}

export function noticeRow({ at, notice }) {
  const values = Object.fromEntries(
    Object.entries(notice.values).map(([key, value]) => [key, typeof value === "object" ? nameOf(value) : value]),
  );
  return h("li.notice", null, h("span", null, t(notice.key, values)), h("time", { title: fullTime(at) }, timeOfDay(at)));
}

export function tipRow({ at, by, tip: { amount, asset, text } }) {
  return h("li.tip", { testid: "tip" }, icon("gift"),
    h("div", null, h("b", null, t("tip.row", { name: nameOf(by), amount, asset })), " ", h("time", { title: fullTime(at) }, timeOfDay(at)), text && h("p.text", { dir: "auto" }, text)));
}

export function author(user, role) {
  const badge = role === "owner" || role === "moderator";
  return [
    h("span.author", { dir: "auto", title: user?.id }, h("bdi", null, nameOf(user))),
    badge && h(`span.badge.${role}`, null, t(`role.${role}`)),
  ];
}

/** @param {{message, room, grouped: boolean, jump(pos), react(message, emoji)}} parts */
export function messageRow({ message, room, grouped, jump, react }) {
  const mentioned = message.mentions?.some((id) => id === room.me.id || id === "all");
  const row = h("li.message", {
    id: `message-${message.pos}`,
    tabindex: "-1",
    testid: "message",
    data: { pos: message.pos, author: message.by?.id ?? "" },
    "aria-label": t("message.label", { name: nameOf(message.by), time: shortTime(message.at) }),
  });
  row.classList.toggle("grouped", grouped);
  row.classList.toggle("mentioned", Boolean(mentioned));
  row.append(
    message.reply_to ? quote(message.reply_to, jump) : "",
    h("div.gutter", null, grouped ? h("time", { title: fullTime(message.at), "aria-hidden": "true" }, timeOfDay(message.at)) : avatar(message.by)),
    h(
      "div.content",
      null,
      !grouped && h("div.byline", null, author(message.by, message.by?.role), h("time", { title: fullTime(message.at), datetime: new Date(message.at).toISOString() }, shortTime(message.at)), message.pinned && pinned()),
      message.deleted ? h("div.text.tombstone", { testid: "tombstone" }, icon("trash"), t("message.deleted")) : body(message, room),
      message.reactions?.length > 0 && reactions(message, room, react),
    ),
  );
  return row;
}

const pinned = () => h("span.pinned", { title: t("message.pinned") }, icon("pin"), h("span.sr", null, t("message.pinned")));

function body(message, room) {
  const text = h("div.text", { dir: "auto", testid: "message-text" }, richText(message.text ?? "", { mentions: message.mentions, users: room.users, me: room.me.id }));
  if (/^(\p{Extended_Pictographic}|\p{Emoji_Component}|\s){1,12}$/u.test(message.text ?? "") && /\p{Extended_Pictographic}/u.test(message.text)) {
    text.classList.add("big");
  }
  if (message.edited_at) text.append(" ", edited(message));
  if (lengthOf(message.text ?? "") <= LONG_TEXT && message.text.split("\n").length <= LONG_LINES) return text;
  text.classList.add("clamped");
  const more = h("button.link", { type: "button", onclick: () => {
    text.classList.remove("clamped");
    more.remove();
  } }, t("message.more"));
  return [text, more];
}

/** Moderators may see what it said before. */
function edited({ edited_at, originals }) {
  const title = fullTime(edited_at);
  if (!originals?.length) return h("span.edited", { title, testid: "edited" }, t("message.edited"));
  const list = () => h("ul.originals", { role: "list" }, originals.map(({ text, at }) => h("li", null, h("time", null, fullTime(at)), h("p", { dir: "auto" }, text))));
  return h("button.link.edited", { type: "button", title, testid: "edited", onclick: ({ currentTarget }) => popover(currentTarget, list()) }, t("message.edited"));
}

function quote({ pos, by, text, deleted }, jump) {
  const content = deleted || text === undefined ? h("i", null, t("message.deleted")) : h("bdi", null, text);
  return h("button.quote", { type: "button", testid: "quote", onclick: () => jump(pos), "aria-label": t("message.jumpToReplied", { name: nameOf(by) }) }, icon("reply"), by && [avatar(by, "tiny"), h("b", null, h("bdi", null, nameOf(by)))], h("span.quoted", { dir: "auto" }, content));
}

function reactions(message, room, react) {
  return h(
    "div.reactions",
    null,
    message.reactions.map(({ emoji, count, mine }) =>
      h(
        mine ? "button.reaction.mine" : "button.reaction",
        { type: "button", testid: "reaction", data: { emoji }, "aria-pressed": String(mine), "aria-label": t("message.reaction", { emoji, count }), onclick: () => react(message, emoji) },
        h("bdi", null, emoji),
        h("span", null, count),
      ),
    ),
  );
}

const PENDING_TEXT = { queued: "pending.queued", sending: "pending.sending", failed: "pending.failed", ask: "pending.ask" };

/** A message of the outbox. */
export function outboxRow({ entry, state, error }, room, outbox, grouped) {
  const stuck = state === "failed" || state === "ask";
  const reason = state === "failed" ? errorText(error) : t(PENDING_TEXT[state], { time: duration((Date.now() - entry.created) / 1000) });
  const actions = stuck && [
    h("button.link", { type: "button", testid: "pending-retry", onclick: () => outbox.retry(entry.key) }, t(state === "ask" ? "pending.sendNow" : "pending.retry")),
    h("button.link", { type: "button", testid: "pending-cancel", onclick: () => outbox.cancel(entry.key) }, t("pending.discard")),
  ];
  return waitingRow({ grouped, room, text: entry.text, at: entry.created, state, note: [icon(stuck ? "alert" : "clock"), h("span", null, reason), actions] });
}

/** A message that the server keeps for a moderator or for a time. */
export function heldRow(item, room, grouped) {
  const note = t(item.kind === "held" ? "pending.held" : "pending.delayed");
  return waitingRow({ grouped, room, text: item.text, at: item.at, state: item.kind, note: [icon("shield"), h("span", null, note)] });
}

/** Acknowledged by the server; its event is about to come in. */
export function acknowledgedRow(entry, room, grouped) {
  return waitingRow({ grouped, room, text: entry.text, at: entry.created, state: "sent", note: null });
}

function waitingRow({ grouped, room, text, at, state, note }) {
  return h(
    `li.message.waiting.${state}${grouped ? ".grouped" : ""}`,
    { testid: "pending-message", data: { state } },
    h("div.gutter", null, grouped ? h("time", { "aria-hidden": "true" }, timeOfDay(at)) : avatar(room.me)),
    h("div.content", null, !grouped && h("div.byline", null, author(room.me), h("time", null, timeOfDay(at))), h("div.text", { dir: "auto" }, richText(text)), note && h("div.note", null, note)),
  );
}
