/** Who uses this tab. Kept per tab, so that two windows can be two people; the name is proposed again in others. */
const SESSION = "galaxy-live.session";
const LAST_NAME = "galaxy-live.name";

/** The claims of a token. The server checks it; the page only reads whom it names. */
function claims(token) {
  const part = token.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(part), (char) => char.charCodeAt(0))));
}

export const current = () => JSON.parse(sessionStorage.getItem(SESSION) ?? "null");
export const lastName = () => localStorage.getItem(LAST_NAME) ?? "";

function keep(session) {
  sessionStorage.setItem(SESSION, JSON.stringify(session));
  return session;
}

export function signOut() {
  sessionStorage.removeItem(SESSION);
}

/** The id that a picked name stands for: the same name is the same person. */
export const idOf = (name) => name.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 64);

/** @returns {Promise<object|null>} null where the server gives out no tokens (it is not in development mode) */
export async function signInByName(name) {
  const user = { id: idOf(name), name: name.trim() };
  const token = await devToken(user);
  if (token === null) return null;
  localStorage.setItem(LAST_NAME, user.name);
  return keep({ user, token, dev: true });
}

/** @throws {Error} where the text is no token */
export function signInByToken(token) {
  const { sub, name } = claims(token.trim());
  if (typeof sub !== "string") throw new Error("no sub");
  return keep({ user: { id: sub, name: name ?? sub }, token: token.trim(), dev: false });
}

async function devToken({ id, name }) {
  const answer = await fetch("/v1/dev/token", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ user: id, name }) });
  if (answer.status === 404) return null;
  if (!answer.ok) throw Object.assign(new Error(`The server answered ${answer.status}`), { code: "token" });
  return (await answer.json()).token;
}

/** For GalaxyClient: the kept token, and a fresh one where the server makes them. */
export function tokenProvider(session) {
  return async (reason) => {
    if (reason === "connect") return session.token;
    if (!session.dev) return reason === "refresh" ? session.token : null;
    const token = await devToken(session.user);
    if (token !== null) keep(Object.assign(session, { token }));
    return token;
  };
}
