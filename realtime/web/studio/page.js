/**
 * `/studio/ID`: from where a live room's owner streams.
 *
 * Hooks for end-to-end tests, as `data-testid`:
 *   frame         home, me, watch-link, notice, studio
 *   preview       preview, preview-note, camera, microphone, share-screen, mute-microphone, hide-camera, level, quality
 *   state         stream-state (data-state), publisher-state (data-state), studio-time, studio-viewers, go-live, end-stream,
 *                 confirm-end-submit, studio-warning
 *   details       detail-title, detail-category, detail-mature, detail-test, details-submit
 *   encoder       rtmp-address, stream-key, whip-address, copy-NAME, show-key, rotate-key, confirm-rotate-submit, let-in
 *   destinations  destination-add, destination-item (data-id, data-state), destination-toggle, destination-edit,
 *                 destination-remove, destination-name, destination-url, destination-key, destination-submit,
 *                 confirm-destination-submit
 *   recordings    recordings, recording-item (data-id, data-state), recording-toggle, recording-download, recording-part,
 *                 recording-edit, recording-delete, recording-title, recording-submit, confirm-recording-submit,
 *                 recording-more
 *   health        health, health-NAME, advice
 *   beside        those of app.js
 */
import { t } from "../lib/i18n.js";
import { Shell } from "../shell.js";
import { StudioView } from "./view.js";

new Shell({
  show(shell, room) {
    if (room.role === "owner" && room.info.kind === "live") return new StudioView(shell, room);
    shell.notice(t("studio.ownersOnly"));
    return null;
  },
});
