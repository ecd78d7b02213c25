/** Line icons, 24 by 24, drawn with the text's colour. */
const PATHS = {
  plus: "M12 5v14M5 12h14",
  compass: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM15.5 8.5l-2 5-5 2 2-5z",
  search: "M11 4a7 7 0 1 0 0 14 7 7 0 0 0 0-14ZM16 16l4.5 4.5",
  pin: "M9 4h6l-.7 6.2L17.5 14h-11l3.2-3.8zM12 14v6",
  users: "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM2.5 19.5c.6-3.3 3.2-5 6.5-5s5.9 1.7 6.5 5M16 5.3a3.5 3.5 0 0 1 0 6.4M18 14.9c1.9.7 3.1 2.3 3.5 4.6",
  calendar: "M5 6h14v14H5zM5 10.5h14M9 3.5V7M15 3.5V7",
  invite: "M10 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM3.5 19.5c.6-3.3 3.2-5 6.5-5s5.9 1.7 6.5 5M19 7v6M16 10h6",
  settings: "M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4M4 12h3M11 12h9",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  reply: "M9 7l-5 5 5 5M4.5 12H14c3.5 0 6 2 6 6",
  smile: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM8.5 14c.8 1.4 2 2.1 3.5 2.1s2.7-.7 3.5-2.1M9 9.5h.01M15 9.5h.01",
  edit: "M5 19l.8-3.8L16 5l3 3L8.8 18.2zM14 7l3 3",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  close: "M6 6l12 12M18 6L6 18",
  send: "M4.5 12L20 4.5 15 20l-3.5-6.5zM11.5 13.5L20 4.5",
  back: "M14.5 5.5L8 12l6.5 6.5",
  down: "M12 5v14M6 13l6 6 6-6",
  save: "M12 4v11M7 10.5l5 5 5-5M5 19.5h14",
  up: "M12 19V5M6 11l6-6 6 6",
  check: "M5 12.5l4.5 4.5L19 7.5",
  theme: "M12 4v16a8 8 0 0 0 0-16ZM12 4a8 8 0 1 0 0 16",
  globe: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM3.5 12h17M12 3c2.5 2.7 3.5 5.7 3.5 9s-1 6.3-3.5 9c-2.5-2.7-3.5-5.7-3.5-9s1-6.3 3.5-9",
  logout: "M14 5H6v14h8M11 12h9.5M17 8.5l3.5 3.5-3.5 3.5",
  hash: "M9.5 4l-2 16M16.5 4l-2 16M4.5 9h16M3.5 15h16",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  live: "M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3ZM8 8a5.7 5.7 0 0 0 0 8M16 8a5.7 5.7 0 0 1 0 8M5 5a10 10 0 0 0 0 14M19 5a10 10 0 0 1 0 14",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18ZM12 7.5V12l3 2",
  shield: "M12 3.5l7.5 2.5v5.5c0 4.5-3 7.5-7.5 9-4.5-1.5-7.5-4.5-7.5-9V6z",
  alert: "M12 4L2.8 19.5h18.4zM12 10v4.5M12 17h.01",
  offline: "M4 4l16 16M8.5 15.5a5 5 0 0 1 6-.8M5 12c1-1 2.2-1.7 3.5-2.2M12.5 9c2.5.1 4.7 1.2 6.5 3M12 19h.01",
  leave: "M14 5H6v14h8M11 12h9.5M17 8.5l3.5 3.5-3.5 3.5",
  gift: "M4 9h16v4H4zM5.5 13v7h13v-7M12 9v11M12 9c-4.5 0-5.5-5-2.5-5 2 0 2.5 3 2.5 5Zm0 0c4.5 0 5.5-5 2.5-5-2 0-2.5 3-2.5 5Z",
  play: "M7 4.5v15l12-7.5z",
  pause: "M8 5v14M16 5v14",
  volume: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  muted: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM16 9.5l5 5M21 9.5l-5 5",
  full: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  unfull: "M9 4v5H4M15 4v5h5M9 20v-5H4M15 20v-5h5",
  pip: "M3.5 5.5h17v13h-17zM12 12h6v4.5h-6z",
  comments: "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
  eye: "M2.5 12c2.2-4 5.5-6 9.5-6s7.3 2 9.5 6c-2.2 4-5.5 6-9.5 6s-7.3-2-9.5-6ZM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Z",
  mic: "M12 3.5a2.5 2.5 0 0 0-2.5 2.5v5.5a2.5 2.5 0 0 0 5 0V6A2.5 2.5 0 0 0 12 3.5ZM6 11.5a6 6 0 0 0 12 0M12 17.5V21",
  micOff: "M12 3.5a2.5 2.5 0 0 0-2.5 2.5v5.5a2.5 2.5 0 0 0 5 0V6A2.5 2.5 0 0 0 12 3.5ZM6 11.5a6 6 0 0 0 12 0M12 17.5V21M4 4l16 16",
  camera: "M3 7h12v10H3zM15 10.5l6-3v9l-6-3",
  cameraOff: "M3 7h12v10H3zM15 10.5l6-3v9l-6-3M3 3l18 18",
  screen: "M3.5 5h17v11h-17zM12 16v4M8 20h8M12 13V8.5M9.5 10.5L12 8l2.5 2.5",
  rotate: "M19 6v4.5h-4.5M5 18v-4.5h4.5M18.3 10A7 7 0 0 0 6 7.8M5.7 14A7 7 0 0 0 18 16.2",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.dataset.icon = name;
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export const roomIcon = ({ kind, visibility }) => (kind === "live" ? "live" : visibility === "private" ? "lock" : "hash");
