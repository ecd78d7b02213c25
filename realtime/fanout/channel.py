"""The local listeners of one room, and what is on its way to them."""

import asyncio
from collections.abc import Iterator, Sequence
from socket import SocketType
from typing import Any

from realtime.fanout.listeners import Form, Listener
from realtime.fanout.sampling import Sampler
from realtime.tracing import Trace
from rooms.actors import Role, Viewer
from rooms.events import Event
from rooms.visibility import differs, reach

Group = tuple[Form, bool, bool]
"""All who are written the same bytes: form, whether they are staff, whether they lag behind."""


class Members:
    """The listeners of one group, by how they are written to: by socket who is clear, through `out` the others."""

    __slots__ = ("others", "sockets")

    def __init__(self) -> None:
        # As dicts: who came one after another lies near each other in memory, and writing in that order takes a
        # twelfth less time than in any other.
        self.sockets: dict[SocketType, Listener] = {}
        self.others: dict[Listener, None] = {}

    def __len__(self) -> int:
        return len(self.sockets) + len(self.others)

    def __iter__(self) -> Iterator[Listener]:
        yield from self.sockets.values()
        yield from self.others

    def __contains__(self, listener: Listener) -> bool:
        if listener in self.others:
            return True
        connection = listener.connection
        return connection is not None and connection.socket in self.sockets

    def add(self, listener: Listener) -> None:
        connection = listener.connection
        if connection is not None and connection.clear and connection.socket is not None:
            self.sockets[connection.socket] = listener
        else:
            self.others[listener] = None

    def remove(self, listener: Listener) -> None:
        """Raises KeyError."""
        connection = listener.connection
        if connection is None or connection.socket is None or listener in self.others:
            del self.others[listener]
        else:
            del self.sockets[connection.socket]


def alone(listener: Listener) -> "Part":
    """A part for one listener."""
    members = Members()
    members.add(listener)
    return Part(members)


class Part:
    """One buffer of a tick, and who is still to get it. Of those who are clear only the sockets, so that writing
    touches nothing else of theirs.
    """

    __slots__ = ("buffer", "others", "sockets")

    def __init__(self, members: Members):
        self.buffer = b""
        self.sockets: dict[SocketType, None] = dict.fromkeys(members.sockets)
        self.others = members.others.copy()

    def __len__(self) -> int:
        return len(self.sockets) + len(self.others)

    def take(self, listener: Listener) -> bool:
        """Takes the listener out. Returns whether it was still to get the buffer."""
        if listener in self.others:
            del self.others[listener]
            return True
        socket = listener.connection.socket if listener.connection is not None else None
        return socket is not None and self.sockets.pop(socket, self) is None


class Channel:
    """One room. Changed by the hub alone."""

    __slots__ = (
        "arrived",
        "elsewhere",
        "epoch",
        "first",
        "groups",
        "late",
        "left",
        "live",
        "oldest",
        "pending",
        "queued",
        "rests_until",
        "room",
        "sampler",
        "since",
        "spent",
        "tick",
        "timer",
        "told",
        "took",
        "traced",
        "traces",
        "urgent",
        "users",
    )

    def __init__(self, room: str, epoch: str, live: bool):
        self.room = room
        self.epoch = epoch
        self.live = live
        self.users: dict[str, tuple[Listener, ...]] = {}
        self.groups: dict[Group, Members] = {}
        self.first: dict[Listener, int] = {}
        """The first position whose text a listener may read, where that is not all."""

        self.sampler: Sampler | None = None
        """Once there was a comment in a live room."""

        self.pending: list[Any] = []
        """Events that were published and are not yet being written."""
        self.late: dict[Listener, int] = {}
        """How many of the pending events are not for a listener, who came after them."""
        self.tick: list[Part] = []
        """What is being written. Nobody is in more than one part."""
        self.since = 0.0
        """When the first pending event came, on `time.perf_counter`, as are the next."""
        self.oldest = 0.0
        """When the first event of the tick came."""
        self.spent = 0.0
        """Seconds that the tick has taken so far."""
        self.took = 0.0
        """Seconds that the last tick took."""
        self.rests_until = 0.0
        self.timer: asyncio.TimerHandle | None = None
        """Runs while the room rests and something is pending."""
        self.queued = False
        """Whether the room waits for its turn to write."""
        self.urgent = False
        """Whether what is pending need not wait for the rest to end."""
        self.traces: list[Trace] = []
        """Of commands whose events are pending."""
        self.traced: list[Trace] = []
        """Of commands whose events are being written."""
        self.told = 0
        """Listeners of the tick, where it is traced."""

        self.arrived: dict[str, str] = {}
        self.left: dict[str, str] = {}
        """User → name, of those whose listening began or ended since the last announcement."""
        self.elsewhere = 0
        """How many more listened on other nodes at the last announcement."""

    def has(self, listener: Listener) -> bool:
        return listener in self.users.get(listener.user, ())

    @property
    def sampled(self) -> bool:
        """Whether listeners are being spared comments."""
        return self.sampler is not None and self.sampler.over

    def group_of(self, listener: Listener) -> Group | None:
        """The group that the listener is in."""
        form = listener.form
        for staff in (False, True):
            for lagging in (False, True):
                group = self.groups.get((form, staff, lagging))
                if group is not None and listener in group:
                    return form, staff, lagging
        return None

    def enter(self, listener: Listener, group: Group) -> None:
        """Moves the listener into the group, to those who are written to as it is now."""
        self.leave(listener)
        self.groups.setdefault(group, Members()).add(listener)

    def leave(self, listener: Listener) -> None:
        key = self.group_of(listener)
        if key is not None:
            group = self.groups[key]
            group.remove(listener)
            if not group:
                del self.groups[key]

    def untaken(self, socket: SocketType, frames: memoryview) -> None:
        """Hands the connection what its socket did not take."""
        for group in self.groups.values():
            listener = group.sockets.get(socket)
            if listener is not None and listener.connection is not None:
                listener.connection.write(frames)
                return

    def special(self, events: Sequence[Any]) -> dict[Listener, Viewer]:
        """Listeners who see one of the events in another form than their group: whom it concerns, and whose history
        begins above what it shows.
        """
        special: dict[Listener, Viewer] = {}
        for event in events:
            if not isinstance(event, Event):
                continue
            if event.reserved and differs(event):  # type: ignore[arg-type]  # every Event is one of Logged
                for listener in self.users.get(getattr(event, "user", ""), ()):
                    special[listener] = self.viewer(listener)
            if self.first and (back := reach(event)) is not None:  # type: ignore[arg-type]  # as above
                for listener, first in self.first.items():
                    if back < first:
                        special[listener] = self.viewer(listener)
        return special

    def begin_traced(self) -> None:
        """The tick has begun, with what the traces are of."""
        self.traced, self.traces = self.traces, []
        self.told = sum(map(len, self.tick))

    def end_traced(self) -> None:
        """The tick is done."""
        for trace in self.traced:
            trace.end(listeners=self.told)
        self.traced = []

    def viewer(self, listener: Listener) -> Viewer:
        """A listener as a viewer."""
        group = self.group_of(listener)
        staff = group is not None and group[1]
        return Viewer(listener.user, Role.MODERATOR if staff else Role.NONE, self.first.get(listener, 1))
