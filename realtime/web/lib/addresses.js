/** Pages of their own, beside the app with its `#/` addresses. */
const page = (name) => (room) => `/${name}/${encodeURIComponent(room)}`;

export const roomPage = page("room");
export const studioPage = page("studio");
export const overlayPage = page("overlay");
export const replayPage = (room, recording) => `${roomPage(room)}?recording=${encodeURIComponent(recording)}`;

/** The room that the address of such a page names. */
export const roomOfAddress = () => decodeURIComponent(location.pathname.split("/")[2] ?? "");
