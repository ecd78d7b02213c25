"""What those have missed who come back: from the room's ring, which the store is read for once, for all who wait."""

import asyncio
from typing import Any

from realtime import ports
from realtime.fanout.ring import Form, Ring
from realtime.fanout.rings import Rings
from realtime.hosting.host import Host
from realtime.hosting.retention import Retention
from rooms.actors import Viewer

READS = 5
"""How often somebody waits for the store; who then still has less than was asked for starts without the past."""


class Recovery:
    """At most one read a room is under way; it reaches as far back as anybody asked for until it began."""

    def __init__(self, store: ports.Store, rings: Rings, retention: Retention, recover_bytes: int):
        self._store = store
        self._rings = rings
        self._retention = retention
        self._recover_bytes = recover_bytes
        self._reading: dict[str, asyncio.Task[bool | ports.Unavailable]] = {}
        self._wanted: dict[str, int] = {}

    def at_hand(self, host: Host, after: int, viewer: Viewer) -> bool:
        """Whether all that the viewer may see after a position can be given at once."""
        return self._ring(host).covers(after, viewer)

    def past(self, host: Host, after: int, viewer: Viewer, form: Form) -> Any:
        """What is `at_hand`, as it stands in the reply. Raises TooMuch."""
        ring = self._ring(host)
        before = ring.size
        self._rings.counters.recoveries += 1
        try:
            return ring.past(after, viewer, form, self._recover_bytes)
        finally:
            self._rings.settle(ring, before)

    def _ring(self, host: Host) -> Ring:
        return self._rings.at(host.room.id, host.epoch, host.room.pos)

    async def reach(self, host: Host, after: int, viewer: Viewer) -> None:
        """Brings to hand what it can of what the viewer may see after a position. Raises Unavailable."""
        after = max(after, viewer.from_pos - 1)
        self._rings.counters.waits += 1
        room = host.room.id
        ring = self._ring(host)
        ring.waiting += 1
        try:
            for _ in range(READS):
                if ring.after <= after or self._rings.get(room) is not ring:
                    return
                outcome = await self._next_read(host, ring, after)
                if isinstance(outcome, ports.Unavailable):
                    raise ports.Unavailable(str(outcome), outcome.retry_after_ms)
                if not outcome:
                    break
        finally:
            ring.waiting -= 1

    def _next_read(self, host: Host, ring: Ring, after: int) -> asyncio.Future[bool | ports.Unavailable]:
        """The read under way, or one that is about to begin and reaches back to the position. Whoever waits for it may
        leave; it goes on.
        """
        room = ring.room
        self._wanted[room] = min(after, self._wanted.get(room, after))
        reading = self._reading.get(room)
        if reading is None:
            reading = self._reading[room] = asyncio.create_task(self._read(host, ring), name=f"recover {room}")
            reading.add_done_callback(lambda _: self._ended(room))
        return asyncio.shield(reading)

    def _ended(self, room: str) -> None:
        del self._reading[room]
        self._wanted.pop(room, None)

    async def _read(self, host: Host, ring: Ring) -> bool | ports.Unavailable:
        """Whether what was read has found room. A failure is returned: raised to each of thousands, one exception
        would gather all their tracebacks.
        """
        await asyncio.sleep(0)  # All who ask in this turn of the loop are to be in it.
        after, to = self._wanted[ring.room], ring.after
        self._rings.counters.reads += 1
        ring.noted = []
        try:
            events = await self._store.events(ring.room, after=after, to=to, limit=to - after)
            if len(events) < to - after:  # the log begins later than was known; the ring then goes
                await self._retention.check([host])
        except ports.Unavailable as error:
            ring.noted = None
            return error
        before = ring.size
        fits = ring.extend(events, self._rings.events, self._rings.room_bytes)
        self._rings.settle(ring, before)
        return fits
