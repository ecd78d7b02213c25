/** What is addressed where: relative addresses are those of this page's server. */

/** The address with what says who watches (`{ticket}` or `{token}`) in its query. */
export function withQuery(address, query) {
  const url = new URL(address, location.href);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  return url;
}

/** Where a room's stream is found on its own server. */
export function roomAddresses(room, origin = location.origin) {
  const base = `${origin}/v1/rooms/${encodeURIComponent(room)}`;
  return { whep: `${base}/whep`, stream: `${base}/stream`, hls: `${base}/hls/index.m3u8` };
}

/** A failure of one way of watching. `code`: `unsupported`, `refused`, `lost`, `stalled`, `slow`, `offline`, `loss`. */
export class WayError extends Error {
  constructor(code, message) {
    super(message ?? code);
    this.name = "WayError";
    this.code = code;
  }
}
