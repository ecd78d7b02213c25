/**
 * `/room/ID`: a live room's stream beside its comments.
 *
 * Hooks for end-to-end tests, as `data-testid`:
 *   frame      home, me, open-studio, open-sign-in, notice, watch
 *   stage      stage (data-state, data-way), video, still, unmute, stage-note, gate, gate-open, play, mute, volume, go-live, latency,
 *              ways, way-NAME, pip, fullscreen, over-toggle, over-input, over-comment, offline, poster
 *   recordings recordings, recording (data-id), recording-more, seek, replay-time, replay-title, replay-back, replay-list, replay-comment
 *   facts      live-badge, live-title, viewers, live-since, category, mature
 *   beside     those of app.js
 */
import { Shell } from "../shell.js";
import { WatchView } from "./view.js";

new Shell({ anonymous: true, show: (shell, room) => new WatchView(shell, room) });
