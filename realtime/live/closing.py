"""Streams by the clock: what is overdue is ended by whichever node comes first, and streams here are held against the
store.
"""

import asyncio
from typing import Any, Protocol

import structlog

from realtime import ports
from realtime.live.acting import Acting
from realtime.live.reach import Reach
from realtime.live.recordings import Recordings
from rooms.errors import Rejected
from rooms.live import BEAT_MS, Lapse, Stream

log = structlog.get_logger("realtime.live")

TICK_SECONDS = 0.5
TOGETHER = 64
WATCH_SECONDS = 0.5
BEAT_TICKS = 10
"""Of WATCH_SECONDS: well below BEAT_MS."""


class Surroundings(Protocol):
    acting: Acting
    recordings: Recordings
    reach: Reach

    def end(self, process: str, room: str, reason: str) -> None:
        """Has a media process here end what it has of the room's stream."""


class Closing:
    """The store says what is due, whichever nodes are alive. While it cannot be reached all waits."""

    def __init__(self, around: Surroundings, store: ports.Store, clock: ports.Clock):
        self._around = around
        self._store = store
        self._clock = clock
        self._woken = asyncio.Event()
        self._running: dict[tuple[str, str], int] = {}
        """Media processes and rooms whose streams go on here → fences."""

    def wake(self) -> None:
        """Something may be due now."""
        self._woken.set()

    async def run(self) -> None:
        """Ends what is due, until it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                pass  # the next tick
            self._woken.clear()
            await _logged(self.close_due())

    async def close_due(self) -> None:
        """Raises Unavailable."""
        due = await self._store.due_streams(self._clock(), TOGETHER)
        await asyncio.gather(*(self._lapse(room, stream) for room, stream in due))

    async def _lapse(self, room: str, stream: Stream) -> None:
        try:
            await self._around.acting.act(stream.user, Lapse(room=room))
        except Rejected as rejected:
            # Another node was quicker, or the room is busy: what is still due is found again.
            log.debug("lapse_refused", room=room, reason=rejected.message)

    async def watch(self) -> None:
        """Says that the streams here go on, ends those that no longer should, removes files; until it is cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            processes = list(self._around.reach.processes)
            if not processes:
                continue
            await _logged(self.compare(processes))
            if tick % BEAT_TICKS == 0:
                await _logged(self._store.beat(processes, self._clock() + BEAT_MS))
                await _logged(self._around.recordings.remove_deleted(self._around.reach.node, self._around.reach))
            tick += 1

    async def compare(self, processes: list[str]) -> None:
        """A stream that was here and has ended, or is elsewhere now, is ended here too, though nobody may have been
        heard to say so. Raises Unavailable.
        """
        going_on = await self._store.streams_of(processes=processes)
        running = {(stream.process, room): stream.fence for room, stream in going_on}
        for process, room in self._running.keys() - running.keys():
            stream = await self._store.stream(room)
            self._around.end(process, room, "replaced" if stream.on else stream.reason or "stopped")
        self._running = running


async def _logged(work: Any) -> None:
    try:
        await work
    except ports.Unavailable as error:
        log.warning("streams_wait", error=str(error))
    except Exception:
        log.exception("streams_failed")
