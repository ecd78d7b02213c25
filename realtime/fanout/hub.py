"""One message to many sockets: each room's events of a tick, encoded once per form and written to all who listen.

All frames of a room that arise within one turn of the event loop are joined into one buffer per *form* (codec, and
whether the viewer is staff), and that same buffer is written to every listener of the form. Then the room rests for a
multiple of what that took, and what arises meanwhile is joined as well: however busy a room is, most of the loop's
time is left to take and acknowledge commands. A listener that is still reading its past gets its own bounded queue
until it has caught up.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter
from typing import Any, Protocol

from msgspec import Struct

from rooms.actors import Actor, Role, Viewer
from rooms.events import Event, Skip
from rooms.visibility import differs, reach, visible

CATCH_UP_EVENTS = 4_096
"""Events kept for a listener that is reading its past; more than that, and its recovery has failed."""

REST = 2
"""How long a room rests after a flush, as a multiple of what the flush took (docs/performance.md)."""


class Form(Protocol):
    """How events are written for one kind of listener: a codec of the gateway, or server-sent events."""

    def event(self, event: object, epoch: str) -> bytes:
        """The frame of one event, logged or not."""


class Listener(Protocol):
    """Who receives a room's events: a connection of `user`."""

    @property
    def user(self) -> str: ...

    @property
    def actor(self) -> Actor: ...

    @property
    def form(self) -> Form: ...

    @property
    def unsent(self) -> int: ...

    def write(self, frames: bytes) -> bool:
        """Writes whole frames, uncopied. Returns False where the connection's buffer is above its high-water mark."""

    def expelled(self, room: str, notice: dict[str, Any]) -> None:
        """The subscription of a room was ended; `notice` says why."""

    def too_slow(self) -> None:
        """More than the limit of unsent bytes waits for this listener: it is to be closed, and may recover."""


class Counters(Struct):
    """What the hub has done since it was made."""

    flushes: int = 0
    deliveries: int = 0
    bytes: int = 0
    slow: int = 0
    catch_up_overflows: int = 0


class Channel:
    """The local listeners of one room."""

    __slots__ = (
        "arrived",
        "catching",
        "epoch",
        "first",
        "groups",
        "left",
        "pending",
        "rests_until",
        "room",
        "scheduled",
        "since",
        "users",
    )

    def __init__(self, room: str, epoch: str):
        self.room = room
        self.epoch = epoch
        self.groups: dict[tuple[Form, bool], set[Listener]] = {}
        self.catching: dict[Listener, list[Any] | None] = {}
        self.first: dict[Listener, int] = {}
        """The first position whose text a listener may read, where that is not all."""
        self.pending: list[Any] = []
        self.since = 0.0
        """When the first pending event came, on `time.perf_counter`."""
        self.rests_until = 0.0
        """When what is published may be written, on the same clock."""
        self.scheduled: asyncio.Handle | None = None
        self.users: dict[str, set[Listener]] = {}
        self.arrived: dict[str, str] = {}
        self.left: dict[str, str] = {}
        """User → name, of those whose listening began or ended since the last announcement."""

    @property
    def empty(self) -> bool:
        return not self.users

    def staff(self, listener: Listener) -> bool:
        return listener in self.groups.get((listener.form, True), ())


class Hub:
    """All channels of this process. Not thread-safe: everything happens on the event loop."""

    def __init__(
        self,
        unsent_limit: int,
        changed: Callable[[Channel], None],
        emptied: Callable[[str], None],
        flushed: Callable[[float], None],
    ):
        """`unsent_limit` in bytes, 0 for none. `changed` is told of channels whose listening users have changed,
        `emptied` of rooms whose last listener has left, `flushed` of the seconds between publishing and writing.
        """
        self.channels: dict[str, Channel] = {}
        self.counters = Counters()
        self._flushed = flushed
        self._unsent_limit = unsent_limit
        self._changed = changed
        self._emptied = emptied

    # Who listens

    def channel(self, room: str, epoch: str) -> Channel:
        channel = self.channels.get(room)
        if channel is None:
            channel = self.channels[room] = Channel(room, epoch)
        return channel

    def add(self, channel: Channel, listener: Listener, viewer: Viewer) -> None:
        """From the next event published on, the listener receives all of the room that the viewer may see."""
        self.flush(channel)
        channel.catching.pop(listener, None)
        self._enter_group(channel, listener, viewer)
        self._arrive(channel, listener)

    def catch_up(self, channel: Channel, listener: Listener) -> None:
        """Keeps the room's events for the listener from now on, until `caught_up`."""
        self.flush(channel)
        self._leave_groups(channel, listener)
        channel.catching[listener] = []
        self._arrive(channel, listener)

    def caught_up(self, channel: Channel, listener: Listener, viewer: Viewer) -> bool:
        """Writes what was kept and goes on as `add` does. Returns False where too much was to be kept, or the
        listener has left meanwhile: then nothing was written.
        """
        self.flush(channel)
        kept = channel.catching.pop(listener, None)
        if kept is None:
            return False
        self._write_own(channel, listener, kept, viewer)
        self.add(channel, listener, viewer)
        return True

    def catching_up(self, channel: Channel, listener: Listener) -> bool:
        return channel.catching.get(listener) is not None

    def remove(self, room: str, listener: Listener) -> bool:
        """Ends a subscription. What was published before has been written. Returns whether there was one."""
        channel = self.channels.get(room)
        if channel is None or listener not in channel.users.get(listener.user, ()):
            return False
        self.flush(channel)
        channel.catching.pop(listener, None)
        self._leave_groups(channel, listener)
        listeners = channel.users[listener.user]
        listeners.discard(listener)
        if not listeners:
            del channel.users[listener.user]
            if channel.arrived.pop(listener.user, None) is None:
                channel.left[listener.user] = listener.actor.name
            self._changed(channel)
        if channel.empty:
            del self.channels[room]
            self._emptied(room)
        return True

    def listening(self, room: str, listener: Listener) -> bool:
        channel = self.channels.get(room)
        return channel is not None and listener in channel.users.get(listener.user, ())

    def listeners(self, room: str, user: str) -> Sequence[Listener]:
        channel = self.channels.get(room)
        return list(channel.users.get(user, ())) if channel else []

    def users(self, room: str) -> Sequence[str]:
        """Who listens to a room."""
        channel = self.channels.get(room)
        return list(channel.users) if channel else []

    def staff(self, room: str) -> set[str]:
        """Those of them who listen as moderators, owners or platform admins."""
        channel = self.channels.get(room)
        groups = channel.groups.items() if channel else ()
        return {listener.user for (_, staff), group in groups if staff for listener in group}

    def rooms_of(self, user: str) -> Sequence[str]:
        return [channel.room for channel in self.channels.values() if user in channel.users]

    def set_viewer(self, room: str, listener: Listener, viewer: Viewer) -> None:
        """From now on the listener sees what the viewer may see. What it has heard as a guest stays within reach."""
        channel = self.channels.get(room)
        if channel is None or not self.listening(room, listener) or listener in channel.catching:
            return
        self.flush(channel)
        first = min(viewer.from_pos, channel.first.get(listener, viewer.from_pos))
        self._enter_group(channel, listener, Viewer(viewer.user, viewer.role, first))

    def _enter_group(self, channel: Channel, listener: Listener, viewer: Viewer) -> None:
        self._leave_groups(channel, listener)
        channel.groups.setdefault((listener.form, viewer.staff), set()).add(listener)
        if viewer.from_pos > 1:
            channel.first[listener] = viewer.from_pos

    def _arrive(self, channel: Channel, listener: Listener) -> None:
        listeners = channel.users.get(listener.user)
        if listeners is None:
            channel.users[listener.user] = {listener}
            if channel.left.pop(listener.user, None) is None:
                channel.arrived[listener.user] = listener.actor.name
            self._changed(channel)
        else:
            listeners.add(listener)

    def _leave_groups(self, channel: Channel, listener: Listener) -> None:
        channel.first.pop(listener, None)
        for staff in (False, True):
            group = channel.groups.get((listener.form, staff))
            if group is not None:
                group.discard(listener)
                if not group:
                    del channel.groups[listener.form, staff]

    # What they hear

    def publish(self, room: str, events: Iterable[object]) -> None:
        """Events for all listeners of the room, logged (already committed, in order of `pos`) or ephemeral."""
        channel = self.channels.get(room)
        if channel is None:
            return
        channel.pending.extend(events)
        if channel.scheduled is None and channel.pending:
            channel.since = perf_counter()
            loop = asyncio.get_running_loop()
            if channel.rests_until > channel.since:
                channel.scheduled = loop.call_later(channel.rests_until - channel.since, self.flush, channel)
            else:
                channel.scheduled = loop.call_soon(self.flush, channel)

    def flush_all(self) -> None:
        """Writes what rooms that rest still hold: their listeners are about to be closed."""
        for channel in list(self.channels.values()):
            self.flush(channel)

    def flush(self, channel: Channel) -> None:
        """Writes what is pending in the channel now."""
        if channel.scheduled is not None:
            channel.scheduled.cancel()
            channel.scheduled = None
        events = channel.pending
        if not events:
            return
        channel.pending = []
        began = perf_counter()
        self.counters.flushes += 1
        special = self._special(channel, events)
        slow: list[Listener] = []
        limit = self._unsent_limit
        for (form, staff), group in channel.groups.items():
            buffer = self._encode(channel, form, events, Viewer("", Role.MODERATOR if staff else Role.NONE))
            self.counters.deliveries += len(group) * len(events)
            self.counters.bytes += len(group) * len(buffer)
            for listener in group:
                if listener in special:
                    continue
                if not listener.write(buffer) and limit and listener.unsent > limit:
                    slow.append(listener)
        for listener, viewer in special.items():
            self._write_own(channel, listener, events, viewer)
        for listener, kept in channel.catching.items():
            if kept is not None:
                self._keep(channel, listener, kept, events)
        for listener in slow:
            self.counters.slow += 1
            listener.too_slow()
        now = perf_counter()
        channel.rests_until = now + REST * (now - began)
        self._flushed(now - channel.since)

    def _special(self, channel: Channel, events: list[Any]) -> dict[Listener, Viewer]:
        """Listeners who see one of the events in another form than their group: whom it concerns, and whose history
        begins above what it shows.
        """
        special: dict[Listener, Viewer] = {}
        for event in events:
            if not isinstance(event, Event):
                continue
            if differs(event):  # type: ignore[arg-type]  # every Event is one of Logged
                for listener in channel.users.get(getattr(event, "user", ""), ()):
                    if listener not in channel.catching and not channel.staff(listener):
                        special[listener] = self._viewer(channel, listener)
            if channel.first and (back := reach(event)) is not None:  # type: ignore[arg-type]  # as above
                for listener, first in channel.first.items():
                    if back < first:
                        special[listener] = self._viewer(channel, listener)
        return special

    def _viewer(self, channel: Channel, listener: Listener) -> Viewer:
        """A listener who is no moderator, as a viewer."""
        return Viewer(listener.user, Role.NONE, channel.first.get(listener, 1))

    def _encode(self, channel: Channel, form: Form, events: Iterable[Any], viewer: Viewer) -> bytes:
        epoch = channel.epoch
        frames = []
        for event in events:
            seen = visible(event, viewer) if isinstance(event, Event) else event  # type: ignore[arg-type]  # as above
            frames.append(form.event(Skip(event.room, event.pos, event.pos) if seen is None else seen, epoch))
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _write_own(self, channel: Channel, listener: Listener, events: list[Any], viewer: Viewer) -> None:
        buffer = self._encode(channel, listener.form, events, viewer)
        if buffer:
            listener.write(buffer)

    def _keep(self, channel: Channel, listener: Listener, kept: list[Any], events: list[Any]) -> None:
        if len(kept) + len(events) > CATCH_UP_EVENTS:
            channel.catching[listener] = None
            self.counters.catch_up_overflows += 1
        else:
            kept.extend(events)
