"""When each room is written to: rooms rest after a tick, and take turns.

A turn writes for a few milliseconds at most: to the rooms whose ticks are short first, then to one of the others a
slice of its listeners. So no room, however large, holds up the rest for longer than that.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from realtime.fanout.channel import Channel

REST = 2
"""How long a busy room rests after a tick, as a multiple of what the tick took (docs/performance.md)."""
MAX_REST_SECONDS = 0.1
"""And how long at most. So long rests a live room whose comments are sampled: skips are few, and samples of many."""
TURN_SECONDS = 0.004
"""Writing to short rooms goes on for so long, then the loop is let go; then a slice of a long one, as long."""
SHORT_SECONDS = 0.001
"""A room whose last tick took no longer is served before others, and need not rest."""


class Turns:
    """The rooms of one process that have something to write. `write` begins a room's tick, or goes on with it until
    it is done or `time.perf_counter` says so much.
    """

    def __init__(self, write: Callable[[Channel, float], None]):
        self._write = write
        self._short: deque[Channel] = deque()
        self._long: deque[Channel] = deque()
        self._turning = False

    def __len__(self) -> int:
        """Rooms that wait for their turn."""
        return len(self._short) + len(self._long)

    def ask(self, channel: Channel) -> None:
        """Something is pending in the room: it gets its turn once it has rested."""
        if channel.queued:
            return
        if (rest := _rest(channel)) > 0:
            if channel.timer is None:
                channel.timer = asyncio.get_running_loop().call_later(rest, self._rested, channel)
            return
        if channel.timer is not None:
            channel.timer.cancel()
            channel.timer = None
        channel.queued = True
        (self._short if channel.took <= SHORT_SECONDS else self._long).append(channel)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    @staticmethod
    def wrote(channel: Channel, now: float) -> None:
        """The room's tick is done: it rests."""
        if channel.sampled:
            channel.rests_until = now + MAX_REST_SECONDS
        elif channel.took > SHORT_SECONDS:
            channel.rests_until = now + min(REST * channel.took, MAX_REST_SECONDS)

    def _rested(self, channel: Channel) -> None:
        channel.timer = None
        if channel.pending:
            channel.urgent = True
            self.ask(channel)

    def _turn(self) -> None:
        until = perf_counter() + TURN_SECONDS
        while self._short and perf_counter() < until:
            self._serve(self._short.popleft(), until)
        if self._long:
            self._serve(self._long.popleft(), perf_counter() + TURN_SECONDS)
        if self._short or self._long:
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._turning = False

    def _serve(self, channel: Channel, until: float) -> None:
        # It may have been flushed since it was queued, and what is pending now may have to rest.
        if channel.tick or not _rest(channel):
            self._write(channel, until)
        if channel.tick:
            self._long.append(channel)
            return
        channel.queued = False
        if channel.pending:
            self.ask(channel)


def _rest(channel: Channel) -> float:
    """Seconds for which what is pending has to wait."""
    return 0.0 if channel.urgent else max(0.0, channel.rests_until - perf_counter())
