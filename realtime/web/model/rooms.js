import { Emitter } from "../galaxy-live.js";
import { RoomModel } from "./room.js";

const OPEN_AT_ONCE = 6;

/** The rooms of the user's list, their unread counts, and the few rooms that are open. Emits `change` and `removed`. */
export class Rooms extends Emitter {
  /** id → `{id, kind, title, mine, unread, mentions, read_pos}` */
  list = new Map();
  #open = new Map();
  #recentKey;

  constructor(client, me) {
    super();
    this.client = client;
    this.me = me;
    this.#recentKey = `galaxy-live.visited.${me.id}`;
    for (const room of JSON.parse(localStorage.getItem(this.#recentKey) ?? "[]")) this.list.set(room.id, fresh(room));
    client.on("event", (event) => this.#event(event));
    client.on("joined", ({ room, recovered, reply }) => recovered && this.#report(this.#open.get(room)?.rejoined(reply)));
    client.on("reset", ({ room, reply }) => this.#report(this.#reload(room, reply)));
    client.on("room.removed", (event) => this.#removed(event));
    client.on("welcome", () => me.id !== "" && this.#report(this.refresh()));
    client.outbox.on("change", ({ room }) => this.#open.get(room)?.emit("change"));
    client.outbox.on("sent", ({ entry, reply }) => this.#open.get(entry.room)?.sent(entry, reply));
  }

  get unread() {
    return sum([...this.list.values()].map(({ unread }) => unread));
  }

  get mentions() {
    return sum([...this.list.values()].map(({ mentions }) => mentions));
  }

  /** Reads the memberships and their counts anew. */
  async refresh() {
    const mine = new Map();
    for (let cursor; ; ) {
      const reply = await this.client.request("room.list", { mine: true, limit: 200, cursor });
      for (const room of reply.rooms) mine.set(room.id, room);
      if (!(cursor = reply.cursor)) break;
    }
    for (const room of this.list.values()) room.mine = mine.has(room.id);
    for (const room of mine.values()) this.list.set(room.id, { ...fresh(room), ...this.#counts(room.id), mine: true });
    const { rooms } = await this.client.request("read.list");
    this.#count(rooms, false);
  }

  /** The room's model, joined and loaded; the ones used longest ago are left. */
  async open(id) {
    let room = this.#open.get(id);
    if (room) {
      this.#open.delete(id);
      this.#open.set(id, room);
      return room;
    }
    room = new RoomModel(this.client, id, this.me);
    this.#open.set(id, room);
    try {
      await room.open();
    } catch (error) {
      this.#close(id);
      throw error;
    }
    const { kind, title, visibility } = room.info;
    this.list.set(id, { ...fresh({ id, kind, title, visibility }), ...this.#counts(id), mine: room.rank > 0 });
    for (const old of [...this.#open.keys()].slice(0, -OPEN_AT_ONCE)) this.#close(old);
    this.#remember();
    this.emit("change");
    return room;
  }

  /** Takes a room off the list, for example after leaving it. */
  forget(id) {
    this.#close(id);
    this.list.delete(id);
    this.#remember();
    this.emit("change");
  }

  read(id, pos) {
    const room = this.list.get(id);
    if (room) Object.assign(room, { unread: 0, mentions: 0, read_pos: pos });
    this.emit("change");
  }

  #close(id) {
    if (this.#open.delete(id)) this.client.leave(id);
  }

  #remember() {
    const rooms = [...this.list.values()].map(({ id, kind, title, visibility }) => ({ id, kind, title, visibility }));
    localStorage.setItem(this.#recentKey, JSON.stringify(rooms.slice(-50)));
  }

  #counts(id) {
    const { unread = 0, mentions = 0, read_pos = 0 } = this.list.get(id) ?? {};
    return { unread, mentions, read_pos };
  }

  #count(rooms, seekUnknown = true) {
    for (const { room, unread, mentions, read_pos } of rooms) {
      const known = this.list.get(room);
      if (known) Object.assign(known, { unread, mentions, read_pos });
    }
    if (seekUnknown && rooms.some(({ room }) => !this.list.has(room))) this.#report(this.refresh());
    this.emit("change");
  }

  #event(event) {
    if (event.type === "user.changed") return this.#count(event.rooms);
    if (event.type === "invited") return this.#report(this.refresh());
    if (event.type === "pending.resolved") {
      for (const room of this.#open.values()) room.apply(event);
      return undefined;
    }
    this.#open.get(event.room)?.apply(event);
    const listed = this.list.get(event.room);
    if (listed && event.type === "room.updated" && event.changes.title) listed.title = event.changes.title;
    if (listed && event.type.startsWith("member.") && event.user === this.me.id) {
      listed.mine = this.#open.get(event.room)?.rank > 0;
    }
    return this.emit("change");
  }

  #reload(id, reply) {
    return this.#open.get(id)?.reload(reply);
  }

  #removed(event) {
    const title = this.list.get(event.room)?.title ?? event.room;
    this.#open.delete(event.room);
    this.list.delete(event.room);
    this.#remember();
    this.emit("removed", { ...event, title });
    this.emit("change");
  }

  #report(promise) {
    promise?.catch((error) => this.client.emit("error", error));
  }
}

const fresh = (room) => ({ ...room, mine: false, unread: 0, mentions: 0, read_pos: 0 });
const sum = (numbers) => numbers.reduce((total, each) => total + each, 0);
