/** How this page asks for a room's media: who watches is said by a ticket, for players can send no header. */
import { roomAddresses } from "../galaxy-live/player.js";

export function mediaQuery(room) {
  return async () => (room.anonymous ? {} : { ticket: (await room.command("ticket.create")).ticket });
}

/** The addresses that the server gave, else those of this server. */
export const addressesOf = (room) => ({ ...roomAddresses(room.id), ...room.live?.media });

export const posterOf = (room) => `${roomAddresses(room.id).hls.replace(/hls\/index\.m3u8$/, "live/poster.webp")}`;
