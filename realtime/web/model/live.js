/** What a room's stream is doing, as its events tell: `room.live` is null while there is none. */

/**
 * Of `room.live`: `title`, `since`, `category?`, `mature?`, `test?`, `media` (addresses), `interrupted`, `viewers`
 * ({now, peak, unique} or null).
 */
export const asLive = (live) => (live ? { interrupted: false, viewers: null, ...live } : null);

const change = (room, fields) => room.info.live && (room.info = { ...room.info, live: { ...room.info.live, ...fields } });

export const LIVE_EVENTS = {
  "live.started"(room, { at, type, room: id, pos, by, ...live }) {
    room.info = { ...room.info, live: asLive({ since: at, ...live }) };
  },
  "live.updated": (room, { title, category, mature }) => change(room, { title, category, mature }),
  "live.interrupted"(room) {
    change(room, { interrupted: true });
  },
  "live.resumed"(room, { media }) {
    change(room, { interrupted: false, ...(media && { media }) });
  },
  "live.stopped"(room) {
    room.info = { ...room.info, live: null };
  },
  "live.viewers": (room, { now, peak, unique }) => change(room, { viewers: { now, peak, unique } }),
  "live.health"(room, event) {
    room.health = event;
    room.emit("health");
  },
  "live.destination": (room, event) => room.emit("destination", event),
  "live.warning": (room, event) => room.emit("warning", event),
};
