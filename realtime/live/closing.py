"""Streams by the clock: what is overdue is ended by whichever node comes first, and streams here are held against the
store.
"""

import asyncio
from typing import Any, Literal, Protocol, get_args

import structlog

from realtime import ports
from realtime.live.acting import Acting
from realtime.live.reach import Reach
from realtime.live.recordings import Recordings
from relay.engine import Running
from relay.ports import Refused
from rooms.effects import Ending
from rooms.errors import Rejected
from rooms.live import BEAT_MS, Ended, Flowing, Lapse, Stream

log = structlog.get_logger("realtime.live")

TICK_SECONDS = 0.5
TOGETHER = 64
WATCH_SECONDS = 0.5
BEAT_SECONDS = 5.0
"""Well below BEAT_MS, and no less than an admission may take."""


class Surroundings(Protocol):
    acting: Acting
    recordings: Recordings
    reach: Reach

    def end(self, room: str, ending: Ending) -> None:
        """Has a media process here end what it has of the room's stream."""

    def make_public(self, room: str, process: str, session: str) -> None:
        """Has a media process here show everybody what was a test."""


class Closing:
    """The store says what is due, whichever nodes are alive. While it cannot be reached all waits."""

    def __init__(self, around: Surroundings, store: ports.Store, clock: ports.Clock):
        self._around = around
        self._store = store
        self._clock = clock
        self._woken = asyncio.Event()
        self._lapsing: dict[str, asyncio.Task[None]] = {}
        """By room."""
        self._running: dict[tuple[str, str], Stream] = {}
        """By media process here and room."""
        self._outrun: set[tuple[str, Running]] = set()
        """By media process here, as of the last beat."""

    def wake(self) -> None:
        """Something may be due now."""
        self._woken.set()

    async def run(self) -> None:
        """Ends what is due, until it is cancelled. A room that cannot be written to holds up no other."""
        try:
            while True:
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._woken.wait()
                except TimeoutError:
                    pass  # the next tick
                self._woken.clear()
                await _logged(self._begin_due())
        finally:
            for task in self._lapsing.values():
                task.cancel()
            await asyncio.gather(*self._lapsing.values(), return_exceptions=True)

    async def close_due(self) -> None:
        """Returns when what is due has ended, as far as it can be. Raises Unavailable."""
        await self._begin_due()
        await asyncio.gather(*self._lapsing.values())

    async def _begin_due(self) -> None:
        """Each room once at a time. What is under way is due still, so that not many more than TOGETHER are."""
        for room, stream in await self._store.due_streams(self._clock(), TOGETHER):
            if room not in self._lapsing:
                task = asyncio.get_running_loop().create_task(self._lapse(room, stream.user), name=room)
                self._lapsing[room] = task
                task.add_done_callback(lambda done: self._lapsing.pop(done.get_name()))

    async def _lapse(self, room: str, user: str) -> None:
        await _logged(self._act(user, Lapse(room=room)))

    async def _act(self, user: str, command: Lapse | Flowing) -> None:
        try:
            await self._around.acting.act(user, command)
        except Rejected as rejected:
            # Another node was quicker, or the room is busy: what is still so is found again.
            log.debug("stream_not_changed", room=command.room, reason=rejected.message)

    async def watch(self) -> None:
        """Ends the streams here that no longer should go on, until it is cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if processes := list(self._around.reach.processes):
                await _logged(self.compare(processes))

    async def compare(self, processes: list[str]) -> None:
        """A stream that was here and has ended, or is elsewhere now, is ended here too, though nobody may have been
        heard to say so. What ran in a process that does not answer is looked at once it does. Raises Unavailable.
        """
        going_on = await self._store.streams_of(processes=processes)
        running = {(stream.process, room): stream for room, stream in going_on}
        silent = {key: stream for key, stream in self._running.items() if key[0] not in processes}
        for process, room in self._running.keys() - running.keys() - silent.keys():
            was, stream = self._running[process, room], await self._store.stream(room)
            self._around.end(room, Ending(process, was.session, was.fence, _why(was, stream)))
        self._running = running | silent

    def forget(self, process: str) -> None:
        """The media process has died."""
        self._running = {key: stream for key, stream in self._running.items() if key[0] != process}

    async def beats(self) -> None:
        """Says what goes on here, until it is cancelled."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if processes := list(self._around.reach.processes):
                await _logged(self.beat(processes))

    async def removals(self) -> None:
        """Removes the files of deleted recordings, until it is cancelled. Apart from the beats, which would not come in
        time where the disk is slow.
        """
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            if self._around.reach.processes:
                await _logged(self._around.recordings.remove_deleted(self._around.reach.node, self._around.reach))

    async def beat(self, processes: list[str]) -> None:
        """The publishers that media processes here have go on. Where the store has another one as the newest, and had
        already with the last beat, so that no answer to an admission is on its way, the process never heard of that:
        its own is ended, and comes back as the newest. What it still has as a test and is none any more is made public.
        Who was taken for gone, as nobody had said so in time, is resumed. Of a process that does not answer nobody goes
        on. Raises Unavailable.
        """
        # Read before they are asked: a publisher that leaves meanwhile is not taken for one that never left.
        streams = {(stream.process, room): stream for room, stream in await self._store.streams_of(processes=processes)}
        asked = await asyncio.gather(
            *(self._around.reach.publishers(process) for process in processes), return_exceptions=True
        )
        outrun = set()
        for process, answer in zip(processes, asked, strict=True):
            if isinstance(answer, Refused):
                log.warning("publishers_unknown", process=process, reason=answer.message)
                continue
            if isinstance(answer, BaseException):
                raise answer
            fences = {one.room: one.fence for one in answer}
            await self._store.beat(process, fences, self._clock() + BEAT_MS)
            for one in answer:
                stream = streams.get((process, one.room))
                if stream is None or stream.fence != one.fence:
                    outrun.add((process, one))
                    continue
                if one.test and not stream.test:
                    self._around.make_public(one.room, process, one.session)
                if one.flowing and stream.state == "interrupted":
                    await self._act(stream.user, Flowing(room=one.room, fence=one.fence))
        for process, one in outrun & self._outrun:
            why = _why(one, await self._store.stream(one.room))
            self._around.end(one.room, Ending(process, one.session, one.fence, why))
        self._outrun = outrun


def _why(was: Stream | Running, now: Stream) -> Ended | Literal["moved"]:
    """Why it has ended, as far as the store still knows."""
    if now.session != was.session:
        return "replaced"
    if now.on:
        return "moved"
    return next((one for one in get_args(Ended) if one == now.reason), "stopped")


async def _logged(work: Any) -> None:
    try:
        await work
    except ports.Unavailable as error:
        log.warning("streams_wait", error=str(error))
    except Exception:
        log.exception("streams_failed")
