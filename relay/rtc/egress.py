"""A stream to its viewers by WHEP: each frame made into packets once, and sent to one viewer after the other."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import structlog

from relay.ports import Reason
from relay.rtc.packetise import Frame, frame
from relay.rtc.viewer import Viewer
from relay.units import HZ, AudioConfig, Unit, VideoConfig

log = structlog.get_logger("relay.rtc")

SLICE_SECONDS = 0.004
"""After so long the event loop has its turn, and the rest of the viewers theirs after that."""
_MOST_WAITING = 128
"""Frames that not all viewers have; more, and all of them are dropped up to the next keyframe."""
_MOST_JOINING = 1_000
"""Packets that a viewer is given at once to begin with. A longer group of pictures is not: it waits for a keyframe."""
_TICK = HZ // 1_000


class Egress:
    """An `Output`. Who joins is given the pictures since the last keyframe at once, stamped a millisecond apart, so
    that the latest is shown; where there are too many of them, the next keyframe is waited for.
    """

    audio: Literal["aac", "opus"] = "opus"

    def __init__(self, empty: Callable[[], None]) -> None:
        """`empty` is called when the last viewer has gone."""
        self._loop = asyncio.get_running_loop()
        self._empty = empty
        self.viewers: list[Viewer] = []
        self._connecting: set[Viewer] = set()
        self._waiting: deque[Frame] = deque()
        self._at = 0
        self._running = False
        self._gop: list[Frame] = []
        self._gop_packets = 0
        self._lost_picture = False
        self._skipping = False
        self._pts, self._pts_at = 0, 0.0
        self._config: VideoConfig | AudioConfig | None = None
        self.dropped_frames = self.malformed = 0

    # Output

    @property
    def wants_keyframe(self) -> bool:
        return self._lost_picture or self._skipping or any(not viewer.started for viewer in self.viewers)

    def unit(self, unit: Unit) -> None:
        try:
            made = frame(unit)
        except ValueError:
            self.malformed += 1
            return
        self._pts, self._pts_at = unit.pts, time.monotonic()
        if made.kind == "video":
            if unit.config is not self._config or unit.pts != unit.dts:
                self._leave_behind(unit)
            self._remember(made)
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped_frames += len(self._waiting) - 1
            while len(self._waiting) > 1:
                self._waiting.pop()
            self._skipping = True
        if self._skipping and made.kind == "video":
            if not made.key:
                self.dropped_frames += 1
                return
            self._skipping = False
        self._waiting.append(made)
        if not self._running:
            self._run()

    def _leave_behind(self, unit: Unit) -> None:
        """Ends viewers whom the stream, as the next encoder makes it, cannot be shown: they take another way."""
        self._config = unit.config
        for viewer in self.everybody:
            track = viewer.tracks.get("video")
            shown = track is None or (isinstance(unit.config, VideoConfig) and track.codec == unit.config.codec)
            if viewer.connection is not None and (unit.pts != unit.dts or not shown):
                viewer.connection.close("changed")

    def interrupted(self) -> None:
        self._gop, self._gop_packets = [], 0

    def ended(self, reason: Reason) -> None:
        for viewer in self.everybody:
            if viewer.connection is not None:
                viewer.connection.close(reason)

    # Viewers

    @property
    def everybody(self) -> tuple[Viewer, ...]:
        """Those who are yet to connect, too."""
        return (*self.viewers, *self._connecting)

    def expect(self, viewer: Viewer) -> None:
        """It has been answered, and is about to connect."""
        self._connecting.add(viewer)

    def join(self, viewer: Viewer) -> None:
        self._connecting.discard(viewer)
        self.viewers.append(viewer)
        if not self._waiting:
            self._begin(viewer)

    def _begin(self, viewer: Viewer) -> None:
        """With the group of pictures as the others have it: nothing waits to be sent to them."""
        if self._gop:
            first = self._gop[-1].pts - (len(self._gop) - 1) * _TICK
            for index, made in enumerate(self._gop):
                viewer.send(made, first + index * _TICK)
            viewer.started = True

    def lost_picture(self) -> None:
        """A viewer cannot go on without a keyframe."""
        self._lost_picture = True

    def leave(self, viewer: Viewer) -> None:
        self._connecting.discard(viewer)
        if viewer in self.viewers:
            index = self.viewers.index(viewer)
            self.viewers.pop(index)
            if index < self._at:
                self._at -= 1
        if not self.viewers and not self._connecting:
            self._empty()

    def tick(self, now: float) -> None:
        """Often: reports that are due, and viewers that are to be ended. `now` of `time.monotonic`."""
        pts, unix, loop_now = self._pts + round((now - self._pts_at) * HZ), time.time(), self._loop.time()
        for viewer in tuple(self.viewers):
            try:
                if (why := viewer.gone(now, loop_now)) is not None and viewer.connection is not None:
                    viewer.connection.close(why)
                elif viewer.started:
                    viewer.report(now, pts, unix)
            except Exception:
                log.exception("viewer_failed")
                if viewer.connection is not None:
                    viewer.connection.close("failed")

    # Sending

    def _remember(self, made: Frame) -> None:
        if made.key:
            self._gop, self._gop_packets, self._lost_picture = [], 0, False
        elif not self._gop:
            return
        self._gop_packets += len(made.payloads)
        if self._gop_packets <= _MOST_JOINING:
            self._gop.append(made)
        else:
            self._gop = []

    def _run(self) -> None:
        self._running = False
        if not self._send_waiting(time.monotonic() + SLICE_SECONDS):
            self._running = True
            self._loop.call_soon(self._run)

    def _send_waiting(self, until: float) -> bool:
        """Whether all is sent, and that before `until`."""
        while self._waiting:
            made = self._waiting[0]
            while self._at < len(self.viewers):
                viewer = self.viewers[self._at]
                self._at += 1
                if viewer.started or made.kind == "audio" or made.key:
                    viewer.started = viewer.started or made.kind == "video"
                    viewer.send(made, made.pts)
                if time.monotonic() > until:
                    return False
            self._at = 0
            self._waiting.popleft()
        for viewer in [viewer for viewer in self.viewers if not viewer.started]:
            self._begin(viewer)
            if time.monotonic() > until:
                return False
        return True
