"""How a room keeps up with its log, whoever writes there: it applies what is heard, and reads what is missing."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from realtime import ports
from realtime.hosting.heard import Heard
from realtime.hosting.rounds import Written
from rooms.events import Logged
from rooms.room import Room

HOLE_SECONDS = 0.05
"""So long is waited for events between what is here and what has come; then the log is read."""
READS = 2
"""So often who waits for a position has the log read: one read may end short of it, where the room is loaded anew."""
AGAIN_SECONDS = 1.0
"""After the store could not say what is in the log, it is asked again so much later."""
MOST_READ = 4_096
"""Events that are read to keep up; a room that is further behind begins anew."""


class Counters(Struct):
    """What the rooms of a process have done to keep up."""

    reads: int = 0
    """How often one was read from the log."""
    resets: int = 0
    """How often one had gone on by more than could be told."""


class Hosted(Protocol):
    room: Room
    epoch: str
    first_pos: int

    @property
    def deciding(self) -> bool: ...

    def ask(self) -> None: ...

    def tell(self, written: Written) -> None: ...

    def reset(self) -> None:
        """What the room has come to cannot be told event by event."""


class KeepingUp:
    """`unread` says that the log is to be read before anything is decided."""

    __slots__ = ("_behind", "_counters", "_heard", "_host", "_look", "_read", "_stale", "_store", "_vain")

    def __init__(self, host: Hosted, store: ports.Store, counters: Counters):
        self._host = host
        self._counters = counters
        self._store = store
        self._heard = Heard()
        self._look: asyncio.TimerHandle | None = None
        """When the log is read for what has not come."""
        self._stale = False
        """Only the log knows what is in it, perhaps also of this node's own doing."""
        self._behind = False
        """Something that other nodes have written has not come in time."""
        self._vain = False
        """The log does not hold what it was last read for, as after a failover that has lost something."""
        self._read: asyncio.Future[None] | None = None
        """Somebody waits until the log has been read."""

    @property
    def unread(self) -> bool:
        return self._stale or self._behind

    @property
    def due(self) -> bool:
        """Whether that is to be done now, though there be nothing to decide."""
        return self._behind

    def close(self) -> None:
        """Nobody needs the room here any more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def hear(self, epoch: str, events: Sequence[Logged]) -> None:
        """Another node has written to the log; some of it may be here already."""
        if epoch == self._host.epoch:
            self._heard.add(events)
            self.go_on()
        else:
            self.catch_up()

    def told(self, epoch: str, pos: int) -> None:
        """The log is known to go as far as a position."""
        if epoch == self._host.epoch:
            self._heard.pos = max(self._heard.pos, pos)
            self.go_on()
        else:
            self.catch_up()

    async def reach(self, epoch: str, pos: int) -> None:
        """Returns when the room has come to where its log is known to be. Raises Unavailable."""
        self.told(epoch, pos)
        host = self._host
        for _ in range(READS):
            if epoch == host.epoch and pos <= host.room.pos:
                return
            self._behind = True
            host.ask()
            if self._read is None:
                self._read = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._read)
        if epoch != host.epoch or pos > host.room.pos:
            raise ports.Unavailable("the log could not be read", int(AGAIN_SECONDS * 1_000))

    def catch_up(self) -> None:
        """The log is known to have gone on without this room, as after a commit of which it never heard."""
        self._stale = self._behind = True
        self._host.ask()

    def lost(self) -> None:
        """A batch may be in the log or not, and the store does not say for now."""
        self._stale, self._behind = True, False

    def go_on(self) -> None:
        """Applies what has come and follows on what is here: between batches, as each is decided on one state."""
        host = self._host
        if host.deciding:
            return
        events = self._heard.take(host.room.pos)
        if events:
            self._vain = False
            host.room.apply_all(events)
            host.tell(Written(events, others=len(events)))
        if self._look is None and not self._behind and (self._stale or self._heard.pos > host.room.pos):
            seconds = AGAIN_SECONDS if self._stale or self._vain else HOLE_SECONDS
            self._look = asyncio.get_running_loop().call_later(seconds, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        if self._stale or self._heard.pos > self._host.room.pos:
            self._behind = True
            self._host.ask()

    async def read(self) -> None:
        """Reads what the log holds beyond this room, where that is not known. Raises Unavailable."""
        self._counters.reads += 1
        # What is heard meanwhile may be of what comes after the answer.
        stale, self._stale, self._behind = self._stale, False, False
        waiting, self._read = self._read, None
        pos = self._host.room.pos
        try:
            if stale or not await self._read_on():
                await self._load()
            self._vain = self._host.room.pos == pos < self._heard.pos
        finally:
            if waiting is not None:
                waiting.set_result(None)

    async def _read_on(self) -> bool:
        """Whether what was missing is here now."""
        host, to = self._host, self._heard.pos
        events = await self._events(host.room.pos, to)
        if len(events) != max(0, to - host.room.pos):
            return False
        host.room.apply_all(events)
        host.tell(Written(events, others=len(events)))
        return True

    async def _load(self) -> None:
        """The room as the log has it, and what has happened to it meanwhile."""
        host = self._host
        loaded = await self._store.load(host.room.id)
        if loaded is None:
            return
        pos, same = host.room.pos, loaded.epoch == host.epoch or not host.epoch
        events = await self._events(pos, loaded.room.pos) if same else ()
        host.room, host.epoch, host.first_pos = loaded.room, loaded.epoch, loaded.first_pos
        self._heard.settle(loaded.room.pos)
        if same and len(events) == loaded.room.pos - pos:
            host.tell(Written(events))
        else:
            self._counters.resets += 1
            host.reset()

    async def _events(self, after: int, to: int) -> Sequence[Logged]:
        """Of the log what lies between two positions; nothing where that is too much."""
        if not 0 < to - after <= MOST_READ:
            return ()
        return await self._store.events(self._host.room.id, after=after, to=to, limit=to - after)
