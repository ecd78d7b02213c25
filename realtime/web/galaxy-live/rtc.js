/** What WHIP (RFC 9725) and WHEP have in common: one offer by HTTP, and the session that it makes. */
import { withQuery } from "./player/addresses.js";

const HANG_UP_WITHIN_MS = 3_000;
const FORBIDDEN = 403;

/** `<turn:host?transport=udp>; rel="ice-server"; username="u"; credential="c"` (RFC 9725, 4.6). */
export function iceServers(header) {
  const servers = [];
  for (const [, urls, parameters] of (header ?? "").matchAll(/<([^>]+)>((?:\s*;\s*[\w-]+="[^"]*")*)/g)) {
    const found = Object.fromEntries([...parameters.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    if (found.rel === "ice-server") servers.push({ urls, username: found.username, credential: found.credential });
  }
  return servers;
}

export class RtcError extends Error {
  /** @param {number} status of the HTTP answer; 0 for none */
  constructor(status, message, retryAfterMs) {
    super(message);
    this.name = "RtcError";
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A session of WHIP or WHEP on the server. */
export class RtcSession {
  #peer;
  #resource;
  #headers;
  #tag;
  #waiting = [];
  #closed = false;

  constructor(peer, resource, headers, tag) {
    this.#peer = peer;
    this.#resource = resource;
    this.#headers = headers;
    this.#tag = tag;
  }

  /**
   * Offers `peer` as it is. Candidates are looked for after the answer, which may name the TURN servers to look with,
   * and follow by PATCH.
   * @param {{address: string, query?: object, bearer?: string, ended: () => void}} to `ended`: the server has hung up
   * @throws {RtcError}
   */
  static async offer(peer, { address, query = {}, bearer, ended }) {
    const headers = bearer ? { Authorization: `Bearer ${bearer}` } : {};
    const offer = await peer.createOffer();
    const response = await ask(withQuery(address, query), { method: "POST", headers: { ...headers, "Content-Type": "application/sdp" }, body: offer.sdp });
    const location = response.headers.get("Location");
    const resource = location && withQuery(new URL(location, response.url), query);
    const session = new RtcSession(peer, resource, headers, response.headers.get("ETag"));
    const servers = iceServers(response.headers.get("Link"));
    peer.addEventListener("icecandidate", ({ candidate }) => candidate?.candidate && session.#trickle(candidate));
    try {
      if (servers.length > 0) peer.setConfiguration({ ...peer.getConfiguration(), iceServers: servers });
      await peer.setLocalDescription(offer);
      await peer.setRemoteDescription({ type: "answer", sdp: await response.text() });
      const [{ sender, receiver }] = peer.getTransceivers();
      (sender.transport ?? receiver.transport)?.addEventListener("statechange", ({ target }) => target.state === "closed" && !session.#closed && ended());
    } catch (error) {
      session.close(); // `peer` may have been closed meanwhile
      throw error;
    }
    return session;
  }

  /**
   * Hangs up. The page may be on its way out, so nobody needs to wait for the answer.
   * @returns {Promise<RtcError | null>} why the server had ended it before and would not have it come back; null for all else
   */
  async close() {
    if (this.#closed) return null;
    this.#closed = true;
    this.#peer.close();
    if (!this.#resource) return null;
    try {
      await ask(this.#resource, { method: "DELETE", headers: this.#headers, keepalive: true, signal: AbortSignal.timeout(HANG_UP_WITHIN_MS) }, 200);
    } catch (error) {
      if (error.status === FORBIDDEN) return error; // of all others, who cannot be reached notices by itself
    }
    return null;
  }

  /** One PATCH for all candidates of a moment (RFC 9725, 4.3.1). */
  #trickle(candidate) {
    if (this.#waiting.push(candidate) === 1) setTimeout(() => this.#patch(), 50);
  }

  async #patch() {
    const candidates = this.#waiting.splice(0);
    if (this.#closed || !this.#resource) return;
    const sdp = this.#peer.localDescription.sdp;
    const line = (name) => sdp.match(new RegExp(`^a=${name}:.*$`, "m"))?.[0];
    const mid = candidates[0].sdpMid ?? "0";
    const media = [`m=audio 9 UDP/TLS/RTP/SAVPF 0`, `a=mid:${mid}`, ...candidates.map(({ candidate }) => `a=${candidate}`)];
    const body = `${[line("ice-ufrag"), line("ice-pwd"), ...media].join("\r\n")}\r\n`;
    const headers = { ...this.#headers, "Content-Type": "application/trickle-ice-sdpfrag", ...(this.#tag ? { "If-Match": this.#tag } : {}) };
    // A server that takes no PATCH (405) has all that it needs: it answers on the address that our checks come from.
    await fetch(this.#resource, { method: "PATCH", headers, body }).catch(() => {});
  }
}

async function ask(url, options, expected = 201) {
  let response;
  try {
    response = await fetch(url, options);
  } catch (error) {
    throw new RtcError(0, error.message);
  }
  if (response.status === expected) return response;
  const { message } = await response.json().catch(() => ({}));
  throw new RtcError(response.status, message ?? `The server answered ${response.status}`, 1000 * Number(response.headers.get("Retry-After")) || undefined);
}
