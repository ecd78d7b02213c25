/** What the timeline shows, as a list of rows: each has a key, what it depends on, and a way to make it. */
import { acknowledgedRow, beginningRow, dayRow, heldRow, messageRow, noticeRow, outboxRow, tipRow, unreadRow } from "./message.js";

const GROUP_MS = 5 * 60_000;

const dayOf = (at) => new Date(at).toDateString();

function continues(before, message) {
  return before && !before.notice && !message.notice && !before.tip && before.by?.id === message.by?.id && message.at - before.at < GROUP_MS && !message.reply_to && !before.deleted;
}

/** @param actions `{jump(pos), react(message, emoji)}` */
export function rowsOf(room, actions) {
  const { items, atStart, atEnd } = room.window;
  const rows = []; // who has no name is told nothing of what was said before, so nothing of its beginning
  if (atStart && !room.anonymous) rows.push({ key: "beginning", on: [room.info.title], make: () => beginningRow(room) });
  let before = null;
  let marked = room.unreadFrom === null;
  for (const message of items) {
    if (!before || dayOf(before.at) !== dayOf(message.at)) {
      rows.push({ key: `day-${dayOf(message.at)}`, on: [], make: () => dayRow(message.at) });
      before = null;
    }
    if (!marked && !message.notice && message.pos > room.unreadFrom) {
      marked = true;
      if (message.by?.id === room.me.id) room.unreadFrom = null;
      else rows.push({ key: "unread", on: [], make: unreadRow });
      before = null;
    }
    if (message.notice) rows.push(noticeEntry(message));
    else if (message.tip) rows.push({ key: `tip-${message.pos}`, on: [], make: () => tipRow(message) });
    else rows.push(messageEntry(room, message, Boolean(continues(before, message)), actions));
    before = message;
  }
  return atEnd ? rows.concat(waiting(room, before)) : rows;
}

const noticeEntry = (item) => ({ key: `notice-${item.pos}`, on: [item], make: () => noticeRow(item) });

const messageEntry = (room, message, grouped, actions) => ({
  key: `message-${message.pos}`,
  on: [message, grouped],
  make: () => messageRow({ message, room, grouped, ...actions }),
});

/** What is on its way, under the last message; the viewer's name stands once. */
function waiting(room, before) {
  const { outbox } = room.client;
  const follows = Boolean(before && !before.notice && before.by?.id === room.me.id && Date.now() - before.at < GROUP_MS);
  const rows = [
    ...[...room.acknowledged].map(([pos, entry]) => ({ key: `sent-${pos}`, on: [], make: (grouped) => acknowledgedRow(entry, room, grouped) })),
    ...[...room.held.values()].map((item) => ({ key: `held-${item.pending}`, on: [], make: (grouped) => heldRow(item, room, grouped) })),
    ...outbox.list(room.id).map((entry) => {
      const { state, error } = entry;
      return { key: `outbox-${entry.key}`, on: [state, error], make: (grouped) => outboxRow({ entry, state, error }, room, outbox, grouped) };
    }),
  ];
  return rows.map(({ key, on, make }, index) => {
    const grouped = follows || index > 0;
    return { key, on: [...on, grouped], make: () => make(grouped) };
  });
}
