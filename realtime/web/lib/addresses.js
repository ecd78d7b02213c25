/** Pages of their own, beside the app with its `#/` addresses. */
export const roomPage = (room) => `/room/${encodeURIComponent(room)}`;
export const studioPage = (room) => `/studio/${encodeURIComponent(room)}`;

/** The room that the address of such a page names. */
export const roomOfAddress = () => decodeURIComponent(location.pathname.split("/")[2] ?? "");
