/** One room's timeline over a history that the page makes up: message `n` stands at `pos` 2n, one a minute. */
async ({ count, texts, role }) => {
  const { Emitter } = await import("/web/galaxy-live.js");
  const { RoomModel } = await import("/web/model/room.js");
  const { Timeline } = await import("/web/views/timeline.js");
  const people = ["ann", "ben", "mei"].map((id) => ({ id, name: id.toUpperCase(), role: "member" }));
  const START = Date.UTC(2026, 0, 1);
  const message = (n) => ({
    pos: 2 * n,
    n,
    at: START + n * 60_000,
    by: people[(n >> 1) % 3],
    text: texts?.[n - 1] ?? `message ${n}${" and more".repeat(n % 17)}`,
    mentions: [],
    reactions: [],
  });
  const pages = {
    before: (pos, limit) => [Math.max(1, Math.ceil(pos / 2) - limit), Math.ceil(pos / 2) - 1],
    after: (pos, limit) => [Math.floor(pos / 2) + 1, Math.min(count, Math.floor(pos / 2) + limit)],
    around: (pos, limit) => [Math.max(1, Math.ceil(pos / 2) - limit / 2), Math.min(count, Math.ceil(pos / 2) + limit / 2)],
  };
  class Client extends Emitter {
    outbox = { list: () => [] };
    asked = [];
    async join(id) {
      const room = { id, kind: "group", title: "History", settings: {}, counts: {} };
      return { room, you: { role, read_pos: 0 }, epoch: "e", pos: 2 * count, first_pos: 1, recovered: false, events: [] };
    }
    async request(type, { before, after, around, limit }) {
      this.asked.push(type);
      if (type === "presence.get") return { online: 1, names: [] };
      if (type === "pending.list") return { pending: [] };
      if (type === "member.list") return { members: people };
      const direction = before ? "before" : after !== undefined ? "after" : around ? "around" : null;
      const [from, to] = direction ? pages[direction](before ?? after ?? around, limit) : [Math.max(1, count - limit + 1), count];
      const messages = [];
      for (let n = from; n <= to; n++) messages.push(message(n));
      return { messages, more: direction === "after" ? to < count : from > 1 };
    }
  }
  const client = new Client();
  const room = new RoomModel(client, "r1", people[0]);
  await room.open();
  const host = { seen: (pos) => (window.seen = pos), mayWrite: () => true };
  const timeline = new Timeline(room, host);
  timeline.element.classList.add("room-main");
  const frame = document.createElement("div");
  frame.className = "room main";
  frame.append(timeline.element);
  document.getElementById("root").replaceChildren(frame);
  timeline.draw();
  const rows = () => [...timeline.list.querySelectorAll("li.message")].map((row) => Number(row.dataset.pos));
  const receive = (n, fields = {}) => {
    const { at, by, text } = message(n);
    room.apply({ type: "message.created", room: "r1", pos: 2 * n, at, by, message: { text, n, mentions: [] }, ...fields });
  };
  Object.assign(window, { client, room, timeline, rows, receive, scroller: timeline.scroller });
}
