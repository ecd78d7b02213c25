/** How loud this browser's user wants it, remembered over pages. */
const KEPT = "galaxy-live.volume";

export function keepVolume(video) {
  const { volume, muted } = { volume: 1, muted: false, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") };
  video.volume = volume;
  video.muted = muted;
}

/** By the user's own hand: what the browser mutes is not remembered. */
export function rememberVolume({ volume, muted }) {
  localStorage.setItem(KEPT, JSON.stringify({ volume, muted }));
}
