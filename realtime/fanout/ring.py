"""What was last said in a room, as it reads now and encoded once: whoever comes back is given it without the store.

A ring holds the positions `after + 1` to `last` without a hole. It begins where its room is first listened to, reaches
back as far as somebody has asked for, and follows the room's commits. Edits, deletions and new names rewrite it, as
they do the store, so that both always show the same; `visible` says what of it a viewer gets, as for the store.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any, Protocol

from msgspec import Struct
from msgspec.structs import replace

from rooms import events as e
from rooms.actors import By, Role, Viewer
from rooms.ids import Millis
from rooms.text import preview
from rooms.visibility import differs, reach, visible

RING_BYTES = 1_024
EVENT_BYTES = 600
PART_BYTES = 100
"""What a ring, an event and an encoded event take besides their text, roughly."""

WHOLES = 8
"""Stretches kept joined, of one ring. Those who were dropped together ask for the same one."""

_GUEST = Viewer("", Role.NONE)

Rewrite = e.MessageEdited | e.MessageDeleted | By
"""What changes events that were written before: an edit, a deletion, or how a user is shown from now on (the role in it
means nothing).
"""


class Form(Protocol):
    """How the past is written for one kind of listener."""

    def part(self, event: object, epoch: str) -> bytes:
        """One event."""

    def whole(self, parts: Sequence[bytes]) -> Any:
        """Many, as they stand in the reply to who joins."""


class TooMuch(Exception):
    """The past is longer than a client may be sent at once."""


class _Shared(Struct, frozen=True):
    """A stretch as all see it who may read everything from `lowest` on, and whom it does not concern (`about`).
    `whole` is None for one that is too long.
    """

    whole: Any
    size: int
    lowest: float
    about: frozenset[str]


class Ring:
    """One room's. `size` is what it holds in memory, in bytes, roughly."""

    __slots__ = (
        "_about",
        "_parts",
        "_shown",
        "_wholes",
        "after",
        "epoch",
        "events",
        "last",
        "noted",
        "room",
        "size",
        "users",
        "waiting",
    )

    def __init__(self, room: str, epoch: str, pos: int):
        """Begins behind the position `pos`, with nothing."""
        self.room = room
        self.epoch = epoch
        self.waiting = 0
        """How many wait for this ring to reach further back: it is not to be dropped."""
        self.noted: list[Rewrite] | None = None
        """While the store is being read: what may not yet be in its answer."""
        self._begin(pos)

    def _begin(self, pos: int) -> None:
        self.after = self.last = pos
        self.size = RING_BYTES
        self.events: dict[int, e.Logged] = {}
        self._about: dict[int, str] = {}
        """Positions of events that guests see in another form than moderators, and whom they concern."""
        self._shown: dict[int, list[int]] = {}
        """Message → positions of the events that show its text, beside its own."""
        self.users: set[str] = set()
        """All whose names are shown, and perhaps some more."""
        self._parts: dict[tuple[Form, bool], dict[int, bytes]] = {}
        self._wholes: dict[tuple[Form, bool, int], _Shared] = {}

    def __len__(self) -> int:
        return len(self.events)

    # What happens in the room

    def append(self, event: e.Logged) -> None:
        if event.pos != self.last + 1:
            self._begin(event.pos - 1)
        if type(event) is e.MessageCreated and event.message is not None and event.message.reply_to is None:
            # As most are: it changes nothing, shows one name and no other text, and is the same for all who see it.
            if self._wholes:
                self._clear_wholes()
            self.last = event.pos
            self.events[event.pos] = event
            self.size += EVENT_BYTES + 2 * len(event.message.text)
            self._name(event.by.id)
            return
        if isinstance(event, e.MessageEdited | e.MessageDeleted):
            self.rewrite(event)
        self._clear_wholes()
        self.last = event.pos
        self._put(event)
        if isinstance(event, e.UserEvent) and event.name == event.user != event.by.id:
            # Named by the id: the room knows no better, but the store may.
            self._begin(event.pos)

    def rewrite(self, change: Rewrite) -> None:
        """Changes what the ring holds, as the store has changed."""
        if self.noted is not None:
            self.noted.append(change)
        match change:
            case By():
                where: Iterable[int] = list(self.events) if change.id in self.users else ()
            case e.MessageEdited(message=None):
                return  # Read after its message was deleted.
            case _:
                where = (change.target, *self._shown.get(change.target, ()))
        for pos in where:
            old = self.events.get(pos)
            if old is not None and (new := _rewritten(old, change)) is not old:
                self._take(pos)
                self._put(new)
                self._clear_wholes()

    def extend(self, earlier: Sequence[e.Logged], most: int, size: int) -> bool:
        """Adds what the store has of the time before, up to `after`; then the ring is as if it had been there all the
        time. Returns whether all of it has found room within `most` events and `size` bytes.
        """
        noted, self.noted = self.noted or [], None
        fits = True
        for event in reversed(earlier):
            fits = len(self.events) < most and self.size < size
            if not fits or event.pos != self.after:
                break
            self._put(event)
            self.after -= 1
        for change in noted:
            self.rewrite(change)
        return fits

    def trim(self, most: int, size: int, since: Millis = 0) -> None:
        """Drops the oldest events, down to `most` and `size` bytes, and those from before `since`."""
        if self.size > size:
            self._clear_wholes()
        while self.events and (len(self.events) > most or self.size > size or self.events[self.after + 1].at < since):
            self.after += 1
            self._take(self.after)

    # What those get who come back

    def covers(self, after: int, viewer: Viewer) -> bool:
        """Whether all that the viewer may see after a position is here."""
        return self.after <= max(after, min(viewer.from_pos - 1, self.last))

    def past(self, after: int, viewer: Viewer, form: Form, limit: int) -> Any:
        """What the viewer sees after a position that is covered, up to the last. Raises TooMuch for what is longer
        than `limit` bytes.
        """
        if viewer.from_pos > after + 1:
            return self._own(after, viewer, form, limit)
        shared = self._wholes.get((form, viewer.staff, after)) or self._join(after, viewer.staff, form, limit)
        if viewer.from_pos > shared.lowest or (not viewer.staff and viewer.user in shared.about):
            return self._own(after, viewer, form, limit)
        if shared.whole is None:
            raise TooMuch
        return shared.whole

    def _join(self, after: int, staff: bool, form: Form, limit: int) -> _Shared:
        stretch = range(after + 1, self.last + 1)
        try:
            parts, size = _bounded((self._part(pos, staff, form) for pos in stretch), limit)
            whole = form.whole(parts)
        except TooMuch:
            whole, size = None, 0
        lowest = min((back for pos in stretch if (back := reach(self.events[pos])) is not None), default=inf)
        about = frozenset(user for pos, user in self._about.items() if pos > after)
        if len(self._wholes) >= WHOLES:
            self.size -= self._wholes.pop(next(iter(self._wholes))).size
        shared = self._wholes[form, staff, after] = _Shared(whole, size, lowest, about)
        self.size += size
        return shared

    def _own(self, after: int, viewer: Viewer, form: Form, limit: int) -> Any:
        parts, _ = _bounded(self._own_parts(after, viewer, form), limit)
        return form.whole(parts)

    def _own_parts(self, after: int, viewer: Viewer, form: Form) -> Iterator[bytes]:
        """As `rooms.visibility.shown`, with what is encoded already."""
        start = min(max(after, viewer.from_pos - 1), self.last)
        hidden = after + 1 if start > after else 0
        for pos in range(start + 1, self.last + 1):
            event = self.events[pos]
            seen = visible(event, viewer)
            if seen is None:
                hidden = hidden or pos
                continue
            if hidden:
                yield form.part(e.Skip(self.room, hidden, pos - 1), self.epoch)
                hidden = 0
            yield self._part(pos, True, form) if seen is event else form.part(seen, self.epoch)
        if hidden:
            yield form.part(e.Skip(self.room, hidden, self.last), self.epoch)

    def _part(self, pos: int, staff: bool, form: Form) -> bytes:
        """The event encoded, as moderators or as guests see it; most are the same for both."""
        as_staff = staff or pos not in self._about
        parts = self._parts.get((form, as_staff))
        if parts is None:
            parts = self._parts[form, as_staff] = {}
        part = parts.get(pos)
        if part is None:
            event = self.events[pos]
            part = parts[pos] = form.part(event if as_staff else visible(event, _GUEST), self.epoch)
            self.size += len(part) + PART_BYTES
        return part

    def concerns(self, user: str, after: int) -> bool:
        """Whether something after a position may have been done by or to the user."""
        return after < self.after or any(user in people(self.events[pos]) for pos in range(after + 1, self.last + 1))

    # What is held

    def _put(self, event: e.Logged) -> None:
        self.events[event.pos] = event
        self.size += _size(event)
        if differs(event):
            self._about[event.pos] = getattr(event, "user", "")
        for target in _shows(event):
            self._shown.setdefault(target, []).append(event.pos)
        for user in people(event):
            self._name(user)

    def _name(self, user: str) -> None:
        self.users.add(user)
        if len(self.users) > 4 * len(self.events) + 64:
            self.users = {one for held in self.events.values() for one in people(held)}

    def _take(self, pos: int) -> None:
        event = self.events.pop(pos)
        self.size -= _size(event)
        if self._about:
            self._about.pop(pos, None)
        if self._shown:
            for target in _shows(event):
                where = self._shown[target]
                where.remove(pos)
                if not where:
                    del self._shown[target]
        for parts in self._parts.values():
            part = parts.pop(pos, None)
            if part is not None:
                self.size -= len(part) + PART_BYTES

    def _clear_wholes(self) -> None:
        if self._wholes:
            self.size -= sum(shared.size for shared in self._wholes.values())
            self._wholes.clear()


def _bounded(parts: Iterable[bytes], limit: int) -> tuple[list[bytes], int]:
    """The parts, and how long they are together. Raises TooMuch above the limit."""
    taken, size = [], 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise TooMuch
        taken.append(part)
    return taken, size


def _size(event: e.Logged) -> int:
    text = event.message.text if isinstance(event, e.MessageEvent) and event.message is not None else ""
    return EVENT_BYTES + 2 * len(text)


def _shows(event: e.Logged) -> Iterator[int]:
    """The earlier messages whose texts the event shows."""
    if isinstance(event, e.MessageEvent) and event.message is not None:
        if isinstance(event, e.MessageEdited):
            yield event.target
        if event.message.reply_to is not None:
            yield event.message.reply_to.pos


def people(event: e.Logged) -> Iterator[str]:
    """Whose names the event shows."""
    yield event.by.id
    if isinstance(event, e.UserEvent):
        yield event.user
    elif isinstance(event, e.MessageEvent) and event.message is not None:
        quoted = event.message.reply_to
        if quoted is not None and quoted.by is not None:
            yield quoted.by.id


def _rewritten(event: e.Logged, change: Rewrite) -> e.Logged:
    """The event as the store shows it after the change; itself where that is the same."""
    if isinstance(change, By):
        return renamed(event, change)
    if not isinstance(event, e.MessageEvent) or event.message is None:
        return event
    body = change.message if isinstance(change, e.MessageEdited) else None
    if change.target == (event.target if isinstance(event, e.MessageEdited) else event.pos):
        if body is None:
            return replace(event, message=None, deleted=True)
        event = replace(event, message=replace(event.message, text=body.text, mentions=body.mentions))
    message = event.message
    quoted = message.reply_to if message is not None else None
    if message is None or quoted is None or quoted.pos != change.target or quoted.deleted:
        return event
    quote = replace(quoted, text=preview(body.text)) if body is not None else e.Quote(quoted.pos, deleted=True)
    return replace(event, message=replace(message, reply_to=quote))


def renamed(event: e.Logged, user: By) -> e.Logged:
    """The event with the user's present name and avatar; itself where it bears them."""
    if event.by.id == user.id and (event.by.name != user.name or event.by.avatar != user.avatar):
        event = replace(event, by=_with_name(event.by, user))
    if isinstance(event, e.UserEvent) and event.user == user.id and event.name != user.name:
        event = replace(event, name=user.name)
    if isinstance(event, e.MessageEvent) and event.message is not None:
        quoted = event.message.reply_to
        if quoted is not None and quoted.by is not None and quoted.by.id == user.id:
            quoted = replace(quoted, by=_with_name(quoted.by, user))
            event = replace(event, message=replace(event.message, reply_to=quoted))
    return event


def _with_name(by: By, user: By) -> By:
    return replace(by, name=user.name, avatar=user.avatar)
