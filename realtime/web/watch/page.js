/**
 * `/room/ID`: a live room's stream beside its comments; with `?recording=ID`, what was streamed then.
 *
 * Hooks for end-to-end tests, as `data-testid`:
 *   frame      home, me, open-studio, open-sign-in, notice, watch
 *   stage      stage (data-state, data-way), video, still, unmute, stage-note, gate, gate-open, play, mute, volume, go-live, latency,
 *              ways, way-NAME, pip, fullscreen, over-toggle, over-input, over-comment, seek, clock
 *   facts      live-badge, live-title, viewers, live-since, category, mature
 *   offline    offline, poster, recordings, recording (data-recording)
 *   beside     tab-comments, tab-recordings, replay-comments, replay-comment (data-pos); and those of app.js
 */
import { Shell } from "../shell.js";
import { replayView } from "./replay_view.js";
import { WatchView } from "./view.js";

const recording = new URLSearchParams(location.search).get("recording");
new Shell({ anonymous: true, show: (shell, room) => (recording ? replayView(shell, room, recording) : new WatchView(shell, room)) });
