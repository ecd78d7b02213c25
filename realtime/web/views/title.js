/** The tab's title: what waits, before the name. Mentions count for more than the rest. */
import { number } from "../lib/i18n.js";

export function showUnread({ unread, mentions }) {
  const badge = mentions > 0 ? `(@${number(mentions)}) ` : unread > 0 ? `(${number(unread)}) ` : "";
  const title = `${badge}Galaxy`;
  if (document.title !== title) document.title = title;
}
