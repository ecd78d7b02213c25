"""One message to many sockets: each room's events of a tick, encoded once per form and written to all who listen.

All frames of a room that wait together are joined into one buffer per *group* (codec, whether the viewer is staff,
whether it lags behind), and that same buffer is written to every listener of the group: to its socket,
unless something waits for it already. Where nothing else is on its
way to the room, that happens at once; else the room rests for a multiple of what its last tick took (`turns.py`), and
what arises meanwhile is joined as well: however busy a room is, most of the loop's time is left to take and acknowledge
commands.

Nobody's coming or going writes to anybody else. Who comes while events wait is *late* for them; who leaves while they
wait, or while the tick has not come to them, is written theirs alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from time import perf_counter
from typing import Any

from msgspec import Struct

from realtime.fanout.channel import Channel, Group, Members, Part, alone
from realtime.fanout.listeners import Form, Listener
from realtime.fanout.sparing import Heard, Sparing, restored
from realtime.fanout.turns import Turns
from realtime.tracing import Trace
from rooms.actors import Role, Viewer
from rooms.events import Event, Reset, Skip
from rooms.visibility import visible

PENDING_EVENTS = 1_024
"""Events that may wait in one room: with more, a rest is cut short; with twice as many, the room is written to there
and then, however long that takes.
"""
SLICE = 64
"""Listeners written to between looks at the clock."""

_STAFF, _GUEST = Viewer("", Role.MODERATOR), Viewer("", Role.NONE)
"""As whom all of a group see what is written to them together."""


class Counters(Struct):
    """What the hub has done since it was made."""

    flushes: int = 0
    deliveries: int = 0
    bytes: int = 0
    lagging: int = 0
    slow: int = 0
    overruns: int = 0
    spared: int = 0


class Hub:
    """All channels of this process. Not thread-safe: everything happens on the event loop."""

    def __init__(
        self,
        unsent_limit: int,
        changed: Callable[[Channel], None],
        emptied: Callable[[str], None],
        flushed: Callable[[float], None],
        sparing: Sparing,
        uncork: Callable[[], None] = lambda: None,
    ):
        """`unsent_limit` in bytes, 0 for none. `changed` is told of channels whose listening users have changed,
        `emptied` of rooms whose last listener has left, `flushed` of the seconds between publishing and writing.
        `uncork` writes what is held back for listeners, before anything is written past their `out`.
        """
        self.channels: dict[str, Channel] = {}
        self.counters = Counters()
        self.sparing = sparing
        self._turns = Turns(self._write)
        self._uncork = uncork
        self._flushed = flushed
        self._unsent_limit = unsent_limit
        self._changed = changed
        self._emptied = emptied

    @property
    def waiting(self) -> int:
        """Rooms that wait for their turn to write."""
        return len(self._turns)

    # Who listens

    def channel(self, room: str, epoch: str, *, live: bool = False) -> Channel:
        channel = self.channels.get(room)
        if channel is None:
            channel = self.channels[room] = Channel(room, epoch, live)
        return channel

    def add(self, channel: Channel, listener: Listener, viewer: Viewer) -> None:
        """From the next event published on, the listener receives all of the room that the viewer may see."""
        self.settle(channel, listener)
        self._enter(channel, listener, viewer)
        self._arrive(channel, listener)

    def remove(self, room: str, listener: Listener, *, gone: bool = False) -> bool:
        """Ends a subscription. What was published before is written first, unless the listener is `gone`. Returns
        whether there was one.
        """
        channel = self.channels.get(room)
        if channel is None or not channel.has(listener):
            return False
        self.settle(channel, listener, gone=gone)
        channel.late.pop(listener, None)
        channel.first.pop(listener, None)
        channel.leave(listener)
        others = tuple(other for other in channel.users[listener.user] if other is not listener)
        if others:
            channel.users[listener.user] = others
        else:
            del channel.users[listener.user]
            if channel.arrived.pop(listener.user, None) is None:
                channel.left[listener.user] = listener.actor.name
            self._changed(channel)
        if not channel.users:
            if channel.timer is not None:
                channel.timer.cancel()
            del self.channels[room]
            self._emptied(room)
        return True

    def listening(self, room: str, listener: Listener) -> bool:
        channel = self.channels.get(room)
        return channel is not None and channel.has(listener)

    def listeners(self, room: str, user: str) -> Sequence[Listener]:
        channel = self.channels.get(room)
        return channel.users.get(user, ()) if channel else ()

    def users(self, room: str) -> Sequence[str]:
        """Who listens to a room."""
        channel = self.channels.get(room)
        return list(channel.users) if channel else []

    def staff(self, room: str) -> set[str]:
        """Those of them who listen as moderators, owners or platform admins."""
        channel = self.channels.get(room)
        groups = channel.groups.items() if channel else ()
        return {listener.user for (_, staff, _), group in groups if staff for listener in group}

    def rooms_of(self, user: str) -> Sequence[str]:
        return [channel.room for channel in self.channels.values() if user in channel.users]

    def set_viewer(self, room: str, listener: Listener, viewer: Viewer) -> None:
        """From now on the listener sees what the viewer may see. What it has heard as a guest stays within reach."""
        channel = self.channels.get(room)
        group = channel.group_of(listener) if channel is not None else None
        if channel is None or group is None:
            return
        first = min(viewer.from_pos, channel.first.get(listener, viewer.from_pos))
        if group[1] != viewer.staff or channel.first.get(listener, 1) != first:
            self.settle(channel, listener)
            self._enter(channel, listener, Viewer(viewer.user, viewer.role, first))

    def waits(self, room: str, listener: Listener) -> None:
        """The listener is clear no more: until `keeps_up` all that it gets goes through its `out`."""
        channel = self.channels.get(room)
        group = channel.group_of(listener) if channel is not None else None
        if channel is not None and group is not None:
            channel.enter(listener, group)
            for part in channel.tick:
                if part.take(listener):
                    part.others[listener] = None

    def lags(self, room: str, listener: Listener) -> None:
        """The listener's connection takes no more for now: until `keeps_up` it gets what cannot be left out."""
        self._set_lagging(room, listener, True)

    def keeps_up(self, room: str, listener: Listener) -> None:
        """The listener's connection has taken what was written: it is clear again, or at least no longer lagging."""
        self._set_lagging(room, listener, False)

    def _set_lagging(self, room: str, listener: Listener, lagging: bool) -> None:
        channel = self.channels.get(room)
        group = channel.group_of(listener) if channel is not None else None
        if channel is not None and group is not None:
            self.counters.lagging += lagging and not group[2]
            channel.enter(listener, (group[0], group[1], lagging))

    def _enter(self, channel: Channel, listener: Listener, viewer: Viewer) -> None:
        channel.enter(listener, (listener.form, viewer.staff, listener.lagging))
        channel.first.pop(listener, None)
        if viewer.from_pos > 1:
            channel.first[listener] = viewer.from_pos

    def _arrive(self, channel: Channel, listener: Listener) -> None:
        listeners = channel.users.get(listener.user)
        if listeners is None:
            channel.users[listener.user] = (listener,)
            if channel.left.pop(listener.user, None) is None:
                channel.arrived[listener.user] = listener.actor.name
            self._changed(channel)
        elif listener not in listeners:
            channel.users[listener.user] = (*listeners, listener)

    # What they hear

    def publish(self, room: str, events: Iterable[object], *, urgent: bool = False) -> None:
        """Events for all listeners of the room, logged (already committed, in order of `pos`) or ephemeral. `urgent`:
        nothing else is on its way to the room, so there is nothing to rest for.
        """
        channel = self.channels.get(room)
        if channel is None:
            return
        if not channel.pending:
            channel.since = perf_counter()
        channel.pending.extend(events)
        waiting = len(channel.pending)
        if waiting > 2 * PENDING_EVENTS:
            self.counters.overruns += 1
            self.flush(channel)
        elif waiting:
            channel.urgent = channel.urgent or (urgent and not channel.sampled) or waiting > PENDING_EVENTS
            self._turns.ask(channel)

    def trace(self, room: str, traces: Iterable[Trace]) -> None:
        """What is published to the room next belongs to the traces: its delivery is a step of theirs."""
        channel = self.channels.get(room)
        for trace in traces:
            if channel is None:
                trace.end()
            else:
                trace.step("deliver")
                channel.traces.append(trace)

    def tell_sampled(self) -> None:
        """Tells rooms in which comments were spared since the last call how many were shown."""
        for room, event in self.sparing.announcements():
            self.publish(room, [event])

    def settle(self, channel: Channel, listener: Listener, *, gone: bool = False) -> None:
        """Writes to one listener, unless it is `gone`, all that was published before: it is now on its own."""
        for part in channel.tick:
            if part.take(listener) and not gone:
                listener.out(part.buffer)
        if not channel.pending:
            return
        if not gone and channel.has(listener):
            events = channel.pending[channel.late.get(listener, 0) :]
            self._write_own(channel, listener, events, channel.viewer(listener))
        channel.late[listener] = len(channel.pending)

    def flush(self, channel: Channel) -> None:
        """Writes all that is pending in the channel now."""
        while channel.tick or channel.pending:
            self._write(channel, inf)

    def flush_all(self) -> None:
        """Writes what rooms that rest or wait still hold: their listeners are about to be closed."""
        for channel in list(self.channels.values()):
            self.flush(channel)

    # One tick

    def _write(self, channel: Channel, until: float) -> None:
        """Begins a tick or goes on with it, until it is done or the clock says `until`."""
        began = perf_counter()
        if not channel.tick:
            if not channel.pending:
                return
            self._begin(channel)
        self._uncork()
        tick = channel.tick
        while tick:
            part = tick[-1]
            while part.sockets or part.others:
                if part.sockets:
                    self._write_to_sockets(channel, part)
                else:
                    for _ in range(min(SLICE, len(part.others))):
                        part.others.popitem()[0].out(part.buffer)
                if (part.sockets or part.others) and perf_counter() > until:
                    channel.spent += perf_counter() - began
                    return
            tick.pop()
        now = perf_counter()
        channel.took = channel.spent + now - began
        channel.spent = 0.0
        self._turns.wrote(channel, now)
        if channel.traced:
            channel.end_traced()
        self._flushed(now - channel.oldest)

    @staticmethod
    def _write_to_sockets(channel: Channel, part: Part) -> None:
        """A slice of those who are clear. What a socket does not take, or refuses, is its listener's affair."""
        buffer, sockets = part.buffer, part.sockets
        size = len(buffer)
        for _ in range(min(SLICE, len(sockets))):
            socket = sockets.popitem()[0]
            try:
                sent = socket.send(buffer)
            except OSError:
                sent = 0
            if sent != size:
                channel.untaken(socket, memoryview(buffer)[sent:])

    def _begin(self, channel: Channel) -> None:
        """Encodes what is pending: once a group, and for those who see it in a form of their own."""
        self._give_up(channel)
        events, channel.pending = channel.pending, []
        late, channel.late = channel.late, {}
        channel.urgent = False
        channel.oldest = channel.since
        self.counters.flushes += 1
        heard = self.sparing.heard(channel, events, int(perf_counter() * 1_000))
        self.counters.spared += len(heard.spared)
        special, own = channel.special(events), heard.own(channel)
        apart = special.keys() | late.keys() | own.keys() if special or late or own else ()
        for key, members in channel.groups.items():
            left = Part(members)
            for listener in apart:
                left.take(listener)
            self._enqueue(channel, key, heard.by(key), left)
        if apart:
            self._enqueue_apart(channel, heard, special, late, own)
        if channel.traces:
            channel.begin_traced()

    def _enqueue_apart(
        self,
        channel: Channel,
        heard: Heard,
        special: Mapping[Listener, Viewer],
        late: Mapping[Listener, int],
        own: Mapping[Listener, Sequence[Event]],
    ) -> None:
        """Those who get something else than their group: in a form of their own, less, or their own events too."""
        came: dict[tuple[Group, int], Members] = {}
        for listener in special.keys() | late.keys() | own.keys():
            group = channel.group_of(listener)
            if group is None:
                continue
            after = late.get(listener, 0)
            if listener in special or listener in own or listener in channel.first:
                whole = restored(heard.by(group, after), own.get(listener, ()))
                self._enqueue(channel, group, whole, alone(listener), special.get(listener) or channel.viewer(listener))
            else:
                came.setdefault((group, after), Members()).add(listener)
        for (group, after), members in came.items():
            self._enqueue(channel, group, heard.by(group, after), Part(members))

    def _enqueue(
        self,
        channel: Channel,
        group: Group,
        events: Sequence[Any],
        part: Part,
        viewer: Viewer | None = None,
    ) -> None:
        """Puts the events into the tick, for listeners of one group, as the `viewer` sees them; by default as all of
        the group do.
        """
        count = len(part)
        if not count:
            return
        form, staff, lagging = group
        viewer = viewer or (_STAFF if staff else _GUEST)
        buffer = self._encode(channel, form, events, viewer, lagging)
        if buffer:
            part.buffer = buffer
            channel.tick.append(part)
            self.counters.deliveries += count * len(events)
            self.counters.bytes += count * len(buffer)

    def _give_up(self, channel: Channel) -> None:
        """Ends those for whom too much waits already: they do not even take what cannot be left out."""
        limit = self._unsent_limit
        for (_, _, lagging), group in [*channel.groups.items()] if limit else ():
            for listener in [one for one in group if one.unsent > limit] if lagging else ():
                self.counters.slow += 1
                listener.too_slow()

    def _encode(
        self, channel: Channel, form: Form, events: Iterable[Any], viewer: Viewer, lagging: bool = False
    ) -> bytes:
        """The frames of the events, joined. Who is `lagging` is spared what is ephemeral."""
        epoch = channel.epoch
        frames = []
        for event in events:
            if isinstance(event, Event):
                seen = visible(event, viewer)  # type: ignore[arg-type]  # as above
                frames.append(form.event(Skip(event.room, event.pos, event.pos) if seen is None else seen, epoch))
            elif not lagging or isinstance(event, Skip | Reset):
                frames.append(form.event(event, epoch))
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _write_own(self, channel: Channel, listener: Listener, events: Sequence[Any], viewer: Viewer) -> None:
        buffer = self._encode(channel, listener.form, events, viewer)
        if buffer:
            listener.out(buffer)
            self.counters.deliveries += len(events)
            self.counters.bytes += len(buffer)
