import { Emitter } from "../galaxy-live.js";
import { LIVE_EVENTS, asLive } from "./live.js";
import { MessageWindow } from "./window.js";

const TYPING_SHOWN_MS = 5000;
/** The server tells of spared comments once a second, while there are any. */
const SAMPLED_SHOWN_MS = 3000;
const MEMBER_PAGES = 5;
export const RANK = { none: 0, member: 1, moderator: 2, owner: 3 };

/** Ends that lie further away than this are "for good". */
const FAR = 50 * 365 * 86_400_000;
export const ends = (until) => (until === undefined || until === null || until > Date.now() + FAR ? null : until);

/**
 * One room as its viewer sees it, kept by its events. Emits `change` (draw anew), `message` and `tip` (one came in live),
 * `edited`, `deleted`, `reactions` (how many more of each emoji), and to the creator `health`, `destination`, `warning`.
 */
export class RoomModel extends Emitter {
  info = null;
  you = { role: "none", read_pos: 0 };
  users = new Map();
  members = null;
  online = null;
  onlineIds = null;
  typing = new Map();
  #sampled = null;
  /** Own messages that wait for a moderator or a time, by pending id; and, for moderators, everybody's. */
  held = new Map();
  queue = null;
  /** Acknowledged messages whose event has not come in yet. */
  acknowledged = new Map();
  unreadFrom = null;
  lastOwnAt = 0;
  following = true;
  /** Whether somebody looks at the room now; its view knows. */
  attended = () => false;
  loaded = false;

  constructor(client, id, me) {
    super();
    this.client = client;
    this.id = id;
    this.me = me;
    this.window = new MessageWindow((range) => this.#page(range));
  }

  get role() {
    return this.you.role;
  }

  get rank() {
    return RANK[this.role] ?? 0;
  }

  get moderates() {
    return this.rank >= RANK.moderator;
  }

  get settings() {
    return this.info?.settings ?? {};
  }

  get mutedUntil() {
    const until = this.you.muted_until;
    return until !== undefined && until > Date.now() ? until : null;
  }

  /** A viewer without a name only listens: nothing can be asked for them. */
  get anonymous() {
    return this.me.id === "";
  }

  /** What is streamed here now, or null. */
  get live() {
    return this.info?.live ?? null;
  }

  /** When slow mode lets the viewer write again. */
  get slowUntil() {
    return this.moderates ? 0 : this.lastOwnAt + (this.settings.slow_seconds ?? 0) * 1000;
  }

  command(type, fields = {}) {
    return this.client.request(type, { room: this.id, ...fields });
  }

  async open() {
    this.#take(await this.client.join(this.id));
    await this.window.latest();
    const last = this.window.last ?? 0;
    this.unreadFrom = last > this.you.read_pos && this.you.read_pos > 0 ? this.you.read_pos : null;
    this.loaded = true;
    this.emit("change");
    await Promise.all([this.#loadPresence(), this.#loadHeld(), this.loadMembers()]);
  }

  /** What was missed cannot be replayed: everything is read anew, at the same place. */
  async reload(reply) {
    if (reply) this.#take(reply);
    this.window.forget();
    this.acknowledged.clear();
    if (this.window.atEnd || this.window.first === null) await this.window.latest();
    else await this.window.around(this.window.items[this.window.items.length >> 1].pos);
    this.emit("change");
    await Promise.all([this.#loadPresence(), this.#loadHeld(), this.loadMembers()]);
  }

  rejoined(reply) {
    this.#take(reply);
    this.emit("change");
    return Promise.all([this.#loadPresence(), this.#loadHeld()]);
  }

  /** The members, as far as the viewer may list them; large rooms are listed in part. */
  async loadMembers() {
    if (this.rank < RANK.member) return;
    const all = new Map();
    let cursor;
    for (let page = 0; page < MEMBER_PAGES; page++) {
      const reply = await this.command("member.list", { limit: 200, cursor });
      for (const member of reply.members) all.set(member.id, member);
      cursor = reply.cursor;
      if (!cursor) break;
    }
    for (const member of all.values()) this.users.set(member.id, { id: member.id, name: member.name });
    this.members = all;
    this.onlineIds ??= new Set([...all.values()].filter(({ online }) => online).map(({ id }) => id));
    this.emit("change");
  }

  apply(event) {
    if (event.by) this.users.set(event.by.id, { id: event.by.id, name: event.by.name });
    if (event.user && event.name) this.users.set(event.user, { id: event.user, name: event.name });
    APPLY[event.type]?.(this, event);
    this.emit("change");
  }

  sent(entry, reply) {
    if (reply.pending) {
      this.held.set(reply.pending, { pending: reply.pending, text: entry.text, kind: reply.held ? "held" : "delayed", at: entry.created });
    } else if (!this.window.find(reply.pos) && this.window.atEnd) {
      this.acknowledged.set(reply.pos, entry);
    }
    this.lastOwnAt = Date.now();
    this.emit("change");
  }

  isOnline(id) {
    return this.onlineIds ? this.onlineIds.has(id) : Boolean(this.members?.get(id)?.online);
  }

  userOf(id) {
    return this.users.get(id) ?? { id, name: id };
  }

  typists() {
    const now = Date.now();
    for (const [id, until] of this.typing) if (until < now) this.typing.delete(id);
    return [...this.typing.keys()].map((id) => this.userOf(id));
  }

  /** `{shown, total}` comments a second, where the viewer is spared some; else null. */
  get sampled() {
    return !this.moderates && this.#sampled?.until > Date.now() ? this.#sampled : null;
  }

  sample({ shown, total }) {
    this.#sampled = { shown, total, until: Date.now() + SAMPLED_SHOWN_MS };
  }

  /** The viewer's own reaction was taken on, or back. */
  reacted(target, emoji, mine) {
    react(this, { target, emoji, by: this.me }, mine ? 1 : -1);
    this.emit("change");
  }

  notice(event, key, values = {}) {
    if (this.info?.kind !== "live") this.window.add({ pos: event.pos, at: event.at, notice: { key, values } }, this.following);
  }

  #take(reply) {
    this.info = { ...reply.room, settings: reply.room.settings ?? {}, live: asLive(reply.room.live) };
    this.you = reply.you.muted ? { muted_until: Infinity, ...reply.you } : reply.you;
    this.online = reply.room.counts?.online ?? this.online;
  }

  async #page(range) {
    if (this.anonymous) return { messages: [], more: false };
    const reply = await this.command("message.list", range);
    for (const { by, at } of reply.messages) {
      this.users.set(by.id, { id: by.id, name: by.name });
      if (by.id === this.me.id) this.lastOwnAt = Math.max(this.lastOwnAt, at);
    }
    return reply;
  }

  async #loadPresence() {
    if (this.anonymous) return;
    const { online, names } = await this.command("presence.get");
    this.online = online;
    this.onlineIds = names ? new Set(names.map((who) => this.#known(who))) : null;
    this.emit("change");
  }

  /** Takes note of a name. Returns the id. */
  #known({ id, name }) {
    this.users.set(id, { id, name });
    return id;
  }

  countMembers(by) {
    const { counts } = this.info;
    if (counts) this.info = { ...this.info, counts: { ...counts, members: Math.max(0, counts.members + by) } };
  }

  presence({ online, joined = [], left = [] }) {
    this.online = online;
    if (!this.onlineIds) return;
    for (const who of joined) this.onlineIds.add(this.#known(who));
    for (const { id } of left) this.onlineIds.delete(id);
  }

  /** Where the pinned messages are, the latest pinned last. */
  get pins() {
    return this.info.pins ?? [];
  }

  async #loadHeld() {
    if (this.anonymous) return;
    const { pending } = await this.command("pending.list");
    const mine = pending.filter(({ by }) => by.id === this.me.id);
    this.held = new Map(mine.map((item) => [item.pending, heldItem(item)]));
    this.queue = this.moderates ? new Map(pending.map((item) => [item.pending, item])) : null;
    this.emit("change");
  }

  loadHeld() {
    return this.#loadHeld();
  }
}

const heldItem = ({ pending, message, kind, at, release_at }) => ({ pending, text: message.text, kind: kind ?? (release_at ? "delayed" : "held"), at });

const unpinned = (room, target) => (room.info = { ...room.info, pins: room.pins.filter((pos) => pos !== target) });

/** `{emoji, count}` of those that there are more of than before. */
const grown = (counts, before) =>
  Object.entries(counts)
    .map(([emoji, count]) => ({ emoji, count: count - (before.find((reaction) => reaction.emoji === emoji)?.count ?? 0) }))
    .filter(({ count }) => count > 0);

const isMine = (room, event) => event.user === room.me.id;

function removeMember(room, event) {
  room.typing.delete(event.user);
  room.members?.delete(event.user);
  if (isMine(room, event)) room.you = { ...room.you, role: "none" };
}

function react(room, event, by) {
  room.window.update(event.target, (message) => {
    const reactions = (message.reactions ?? []).map((reaction) => ({ ...reaction }));
    let found = reactions.find(({ emoji }) => emoji === event.emoji);
    if (!found && by > 0) reactions.push((found = { emoji: event.emoji, count: 0, mine: false }));
    if (!found) return message;
    found.count += by;
    if (event.by.id === room.me.id) found.mine = by > 0;
    return { ...message, reactions: reactions.filter(({ count }) => count > 0) };
  });
}

const APPLY = {
  ...LIVE_EVENTS,
  "message.created"(room, event) {
    const own = event.by.id === room.me.id;
    room.acknowledged.delete(event.pos);
    room.typing.delete(event.by.id);
    const message = event.message
      ? { pos: event.pos, at: event.at, by: event.by, ...event.message, reactions: [] }
      : { pos: event.pos, at: event.at, by: event.by, deleted: true, reactions: [] };
    if (own) room.lastOwnAt = Math.max(room.lastOwnAt, event.at);
    if (own) room.unreadFrom = null;
    else if (room.unreadFrom === null && !room.attended()) room.unreadFrom = event.pos - 1;
    room.window.add(message, room.following || own);
    room.emit("message", message);
  },
  "tip.settled"(room, { pos, at, by, amount, asset, text }) {
    room.window.add({ pos, at, by, tip: { amount, asset, text } }, room.following);
    room.emit("tip", { pos, at, by, tip: { amount, asset, text } });
  },
  "message.edited"(room, { target, message, at, deleted }) {
    if (deleted || !message) return;
    room.window.update(target, (old) => ({ ...old, ...message, pos: old.pos, edited_at: at }), true);
    requote(room, target, (quote) => ({ ...quote, text: message.text }));
    room.emit("edited", { target, message });
  },
  "message.deleted"(room, { target }) {
    room.window.update(target, ({ pos, at, by, n }) => ({ pos, at, by, n, deleted: true }), true);
    requote(room, target, (quote) => ({ ...quote, text: undefined, deleted: true }));
    unpinned(room, target);
    room.emit("deleted", { target });
  },
  "message.reacted": (room, event) => react(room, event, 1),
  "message.unreacted": (room, event) => react(room, event, -1),
  reactions(room, { target, counts }) {
    const more = grown(counts, room.window.find(target)?.reactions ?? []);
    if (more.length > 0) room.emit("reactions", more);
    room.window.update(target, (message) => {
      const mine = new Set((message.reactions ?? []).filter((reaction) => reaction.mine).map(({ emoji }) => emoji));
      const reactions = Object.entries(counts).map(([emoji, count]) => ({ emoji, count, mine: mine.has(emoji) }));
      return { ...message, reactions: reactions.filter(({ count }) => count > 0) };
    });
  },
  "message.pinned"(room, event) {
    room.window.update(event.target, (message) => ({ ...message, pinned: true }), true);
    unpinned(room, event.target);
    room.info.pins.push(event.target);
    room.notice(event, "notice.pinned", { by: event.by });
  },
  "message.unpinned"(room, { target }) {
    room.window.update(target, (message) => ({ ...message, pinned: false }), true);
    unpinned(room, target);
  },
  "member.joined"(room, event) {
    room.countMembers(1);
    room.members?.set(event.user, { id: event.user, name: event.name, role: "member" });
    if (isMine(room, event) && room.rank < RANK.member) {
      room.you = { ...room.you, role: "member" };
      room.loadMembers().catch((error) => room.client.emit("error", error));
    }
    room.notice(event, "notice.joined", { user: room.userOf(event.user) });
  },
  "member.left"(room, event) {
    room.countMembers(-1);
    removeMember(room, event);
    room.notice(event, "notice.left", { user: room.userOf(event.user) });
  },
  "member.kicked"(room, event) {
    room.countMembers(-1);
    removeMember(room, event);
    room.notice(event, "notice.kicked", { user: room.userOf(event.user), by: event.by });
  },
  "member.banned"(room, event) {
    if (room.members?.has(event.user)) room.countMembers(-1);
    removeMember(room, event);
    room.notice(event, "notice.banned", { user: room.userOf(event.user) });
  },
  "member.unbanned": (room, event) => room.notice(event, "notice.unbanned", { user: room.userOf(event.user) }),
  "member.role"(room, event) {
    const member = room.members?.get(event.user);
    if (member) room.members.set(event.user, { ...member, role: event.role });
    if (isMine(room, event)) {
      room.you = { ...room.you, role: event.role };
      room.loadHeld().catch((error) => room.client.emit("error", error));
    }
    room.notice(event, `notice.role.${event.role}`, { user: room.userOf(event.user) });
  },
  "member.muted"(room, event) {
    const member = room.members?.get(event.user);
    if (member) room.members.set(event.user, { ...member, muted_until: event.until ?? Infinity });
    if (isMine(room, event)) room.you = { ...room.you, muted_until: event.until ?? Infinity, reason: event.reason };
    room.notice(event, "notice.muted", { user: room.userOf(event.user) });
  },
  "member.unmuted"(room, event) {
    const member = room.members?.get(event.user);
    if (member) room.members.set(event.user, { ...member, muted_until: undefined });
    if (isMine(room, event)) room.you = { ...room.you, muted_until: undefined };
    room.notice(event, "notice.unmuted", { user: room.userOf(event.user) });
  },
  "room.updated"(room, event) {
    const { title, settings } = event.changes;
    room.info = { ...room.info, title: title ?? room.info.title, settings: { ...room.settings, ...settings } };
    room.notice(event, title ? "notice.renamed" : "notice.settings", { by: event.by, title });
  },
  "room.closed"(room, event) {
    room.info = { ...room.info, closed: true, live: null };
    room.notice(event, "notice.closed", { by: event.by });
  },
  typing(room, event) {
    const id = event.user;
    if (id !== room.me.id) room.typing.set(id, Date.now() + TYPING_SHOWN_MS);
    setTimeout(() => room.emit("change"), TYPING_SHOWN_MS + 50);
  },
  presence: (room, event) => room.presence(event),
  "comments.sampled": (room, event) => room.sample(event),
  "message.pending"(room, event) {
    room.queue?.set(event.pending, event);
  },
  "pending.resolved"(room, { pending }) {
    room.held.delete(pending);
    room.queue?.delete(pending);
  },
};

function requote(room, target, change) {
  room.window.updateAll((message) =>
    message.reply_to?.pos === target ? { ...message, reply_to: change(message.reply_to) } : message,
  );
}
