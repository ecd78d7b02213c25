"""The rings of this process: which rooms have one, and how much they may hold together."""

from collections import OrderedDict
from collections.abc import Sequence

from msgspec import Struct

from realtime.fanout.ring import Ring, people, renamed
from rooms.actors import By
from rooms.events import Logged

RECENT_MS = 300_000
"""A ring keeps what was said within so long before the room's latest event: most who come back have been away for less,
and what a process holds is at its most soon after the start, not days later.
"""
NAMES = 4_096
"""Of so many users whose name or avatar has changed lately, what was written under the old one is put right."""


class Counters(Struct):
    """What the rings have done since they were made."""

    recoveries: int = 0
    """How often somebody was given what was missed, or told that it was too much."""
    waits: int = 0
    """How often somebody had to wait for the store before that."""
    reads: int = 0
    """How often the store was read for them."""
    dropped: int = 0
    """Rings that had to go, as others were used more lately."""


class Rings:
    """Rings by room, the least recently used first. `bytes` is what they hold, roughly."""

    def __init__(self, events: int, room_bytes: int, all_bytes: int):
        """A ring holds at most so many events, or bytes; all of them at most `all_bytes`."""
        self.events = events
        self.room_bytes = room_bytes
        self.counters = Counters()
        self.bytes = 0
        self._all_bytes = all_bytes
        self._rings: OrderedDict[str, Ring] = OrderedDict()
        self._names: OrderedDict[str, By] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rings)

    def get(self, room: str) -> Ring | None:
        return self._rings.get(room)

    def at(self, room: str, epoch: str, pos: int) -> Ring:
        """The room's ring, as of `pos`: where there is none, or it has not followed, one that begins there."""
        ring = self._rings.get(room)
        if ring is None or ring.last != pos or ring.epoch != epoch:
            self.drop(room)
            ring = self._rings[room] = Ring(room, epoch, pos)
            self.bytes += ring.size
        self._rings.move_to_end(room)
        return ring

    def committed(self, room: str, epoch: str, events: Sequence[Logged], *, listened: bool) -> None:
        """The room's log has gone on. A room that somebody listens to has a ring from now on."""
        ring = self._rings.get(room)
        if ring is None:
            if not listened or not events:
                return
            ring = self.at(room, epoch, events[0].pos - 1)
        if not events:
            return
        before = ring.size
        for event in events:
            ring.append(self._named(event) if self._names else event)
        ring.trim(self.events, self.room_bytes, events[-1].at - RECENT_MS)
        self.settle(ring, before)

    def settle(self, ring: Ring, before: int) -> None:
        """The ring, which held `before` bytes, has been used."""
        if self._rings.get(ring.room) is not ring:
            return
        self.bytes += ring.size - before
        self._rings.move_to_end(ring.room)
        while self.bytes > self._all_bytes:
            oldest = next((room for room, one in self._rings.items() if not one.waiting), None)
            if oldest is None:
                break
            self.counters.dropped += 1
            self.drop(oldest)

    def drop(self, room: str) -> None:
        """Nobody needs the room's ring any more."""
        ring = self._rings.pop(room, None)
        if ring is not None:
            self.bytes -= ring.size

    # Names

    def renamed(self, user: str, name: str, avatar: str | None) -> None:
        """What the user did before shows the new name and avatar too."""
        self._names[user] = shown = By(user, name, "", avatar)
        self._names.move_to_end(user)
        if len(self._names) > NAMES:
            self._names.popitem(last=False)
        for ring in self._rings.values():
            if user in ring.users or ring.noted is not None:
                before = ring.size
                ring.rewrite(shown)
                self.bytes += ring.size - before

    def _named(self, event: Logged) -> Logged:
        """The event with the names that its users bear now: who is connected by an older token, or is quoted from
        before, comes with another.
        """
        names = self._names
        for user in people(event):
            if user in names:
                event = renamed(event, names[user])
        return event
