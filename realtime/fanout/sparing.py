"""What listeners are spared where a room has more to say than they can read (docs/protocol.md, "Objects").

In live rooms that is comments past so many a second, and all comments for who lags behind; in rooms with more people
than are named, who becomes a member and who leaves. Moderators and owners are spared nothing, and nobody what is their
own. What is spared stays in the log, and is announced by skips.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from realtime.fanout.channel import Channel, Group
from realtime.fanout.listeners import Listener
from realtime.fanout.sampling import Sampler
from rooms.events import Event, MemberJoined, MemberLeft, MessageCreated, Skip

STAFF = frozenset({"moderator", "owner"})
"""Roles, as events name them, whose comments everybody is shown."""


class Sparing:
    """Decides for all rooms of this process."""

    def __init__(self, comments_per_second: int, names: int):
        """`comments_per_second` of each live room are shown, 0: all; up to `names` listeners are named."""
        self._rate = comments_per_second
        self._names = names
        self._commented: dict[str, Sampler] = {}

    def heard(self, channel: Channel, events: Sequence[Any], now: int) -> "Heard":
        """What is heard of events that are written together; `now` in milliseconds."""
        crowded = len(channel.users) + channel.elsewhere > self._names
        if not channel.live and not crowded:
            return Heard(events, {}, {})
        comments: dict[int, Event] = {}
        spared: dict[int, Event] = {}
        for event in events:
            if channel.live and isinstance(event, MessageCreated) and event.by.role not in STAFF:
                comments[event.pos] = event
            elif crowded and isinstance(event, MemberJoined | MemberLeft):
                spared[event.pos] = event
        for pos in self._sampled(channel, comments, now):
            spared[pos] = comments[pos]
        return Heard(events, spared, spared | comments)

    def _sampled(self, channel: Channel, comments: Mapping[int, Event], now: int) -> Iterable[int]:
        if not comments or not self._rate:
            return ()
        if channel.sampler is None:
            channel.sampler = Sampler(self._rate, now)
        self._commented[channel.room] = channel.sampler
        return channel.sampler.spared({pos: event.by.id for pos, event in comments.items()}, now)

    def announcements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """For each room in which comments were spared since the last call: the room, and `comments.sampled`."""
        commented, self._commented = self._commented, {}
        for room, sampler in commented.items():
            shown, total = sampler.counted()
            if shown < total:
                yield room, {"type": "comments.sampled", "room": room, "shown": shown, "total": total}


class Heard:
    """What each kind of listener hears of one tick's events."""

    def __init__(self, events: Sequence[Any], spared: Mapping[int, Event], spared_lagging: Mapping[int, Event]):
        """By position, what all are spared but moderators and owners, and what of those who lag."""
        self.spared = spared
        self._spared_lagging = spared_lagging
        self._events = events
        self._known: dict[tuple[bool, int], Sequence[Any]] = {}

    def by(self, group: Group, after: int = 0) -> Sequence[Any]:
        """What the group hears of all but the first `after` events."""
        _, staff, lagging = group
        events = self._events[after:] if after else self._events
        spared = self._spared_lagging if lagging else self.spared
        if staff or not spared:
            return events
        known = self._known.get((lagging, after))
        if known is None:
            known = self._known[lagging, after] = without(events, spared)
        return known

    def own(self, channel: Channel) -> dict[Listener, list[Event]]:
        """Listeners whose own events their group is spared, with these events."""
        found: dict[Listener, list[Event]] = {}
        if not self._spared_lagging:
            return found
        behind = any(lagging for _, _, lagging in channel.groups)
        for pos, event in (self._spared_lagging if behind else self.spared).items():
            for listener in channel.users.get(_whose(event), ()):
                group = channel.group_of(listener)
                if group is not None and not group[1] and (group[2] or pos in self.spared):
                    found.setdefault(listener, []).append(event)
        return found


def _whose(event: Event) -> str:
    return event.user if isinstance(event, MemberJoined | MemberLeft) else event.by.id


def without(events: Sequence[Any], spared: Container[int]) -> list[Any]:
    """The events, ephemeral ones among them, with skips for what is spared, neighbours joined."""
    left: list[Any] = []
    skipped: Skip | None = None
    for event in events:
        if isinstance(event, Event):
            if event.pos in spared and skipped is not None and skipped.last == event.pos - 1:
                skipped = Skip(event.room, skipped.first, event.pos)
                continue
            if skipped is not None:
                left.append(skipped)
                skipped = None
            if event.pos in spared:
                skipped = Skip(event.room, event.pos, event.pos)
                continue
        left.append(event)
    return left if skipped is None else [*left, skipped]


def restored(events: Sequence[Any], own: Sequence[Event]) -> list[Any]:
    """What `without` gave, with the events of `own` that its skips stand for in their places."""
    whole: list[Any] = []
    rest = iter(own)
    one = next(rest, None)
    for event in events:
        if not isinstance(event, Skip):
            whole.append(event)
            continue
        first = event.first
        while one is not None and one.pos <= event.last:
            if one.pos >= first:
                if one.pos > first:
                    whole.append(Skip(event.room, first, one.pos - 1))
                whole.append(one)
                first = one.pos + 1
            one = next(rest, None)
        if first <= event.last:
            whole.append(Skip(event.room, first, event.last))
    return whole
