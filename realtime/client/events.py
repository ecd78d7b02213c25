"""Events as the client hands them out: frozen values, one class a type (docs/protocol.md).

Every event has `type`, `room`, `pos` (None where ephemeral), `at` (milliseconds since the Unix epoch), `by`, and
`fields`: all other fields as they came. A type that this client does not know arrives as plain `Event`, so newer
servers do not break older clients.
"""

from typing import Any

import msgspec

from realtime.client.errors import ProtocolViolation


class Position(msgspec.Struct, frozen=True):
    """A place in a room's log: `pos` within `epoch`."""

    epoch: str
    pos: int


class User(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str = ""
    avatar: str | None = None
    role: str | None = None
    roles: tuple[str, ...] = ()


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a message replies to; `text` is None where that message was `deleted`."""

    pos: int
    by: User | None = None
    text: str | None = None
    deleted: bool = False


class Message(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    n: int | None = None
    reply_to: Quote | None = None
    mentions: tuple[str, ...] = ()


class RoomInfo(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str = ""
    title: str = ""
    visibility: str = ""
    settings: dict[str, Any] = {}
    counts: dict[str, int] = {}
    live: dict[str, Any] | None = None


class Unread(msgspec.Struct, frozen=True, kw_only=True):
    """A membership's unread state: `unread` and `mentions` are counts above `read_pos`."""

    room: str
    unread: int
    mentions: int
    read_pos: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    room: str = ""
    pos: int | None = None
    at: int | None = None
    by: User | None = None
    fields: dict[str, Any] = {}


class RoomCreated(Event, frozen=True, kw_only=True):
    room_info: RoomInfo


class RoomUpdated(Event, frozen=True, kw_only=True):
    changes: dict[str, Any]


class RoomClosed(Event, frozen=True, kw_only=True):
    pass


class MemberEvent(Event, frozen=True, kw_only=True):
    """Base of what concerns one user: `user` is the id, `name` the name to show."""

    user: str
    name: str = ""


class MemberJoined(MemberEvent, frozen=True, kw_only=True):
    pass


class MemberLeft(MemberEvent, frozen=True, kw_only=True):
    pass


class MemberRole(MemberEvent, frozen=True, kw_only=True):
    role: str


class MemberMuted(MemberEvent, frozen=True, kw_only=True):
    until: int | None = None
    reason: str | None = None


class MemberUnmuted(MemberEvent, frozen=True, kw_only=True):
    pass


class MemberKicked(MemberEvent, frozen=True, kw_only=True):
    """`was_member` is false where a mere listener was sent away."""

    reason: str | None = None
    was_member: bool = True


class MemberBanned(MemberEvent, frozen=True, kw_only=True):
    until: int | None = None
    reason: str | None = None
    was_member: bool = True


class MemberUnbanned(MemberEvent, frozen=True, kw_only=True):
    pass


class MessageCreated(Event, frozen=True, kw_only=True):
    """`message` is None where `deleted`: a recovered event of a message deleted since."""

    message: Message | None = None
    deleted: bool = False


class MessageEdited(Event, frozen=True, kw_only=True):
    target: int
    message: Message | None = None
    deleted: bool = False


class TargetEvent(Event, frozen=True, kw_only=True):
    """Base of what happens to one message, the one at position `target`."""

    target: int


class MessageDeleted(TargetEvent, frozen=True, kw_only=True):
    reason: str | None = None


class MessagePinned(TargetEvent, frozen=True, kw_only=True):
    until: int | None = None


class MessageUnpinned(TargetEvent, frozen=True, kw_only=True):
    pass


class MessageReacted(TargetEvent, frozen=True, kw_only=True):
    emoji: str


class MessageUnreacted(TargetEvent, frozen=True, kw_only=True):
    emoji: str


class TipSettled(Event, frozen=True, kw_only=True):
    """`amount` is a decimal string of `asset`."""

    tip: str
    amount: str
    asset: str
    to: str
    text: str | None = None


class LiveStarted(Event, frozen=True, kw_only=True):
    session: str = ""
    title: str = ""
    category: str | None = None
    mature: bool = False
    media: dict[str, str] = {}


class LiveUpdated(Event, frozen=True, kw_only=True):
    title: str = ""
    category: str | None = None
    mature: bool = False


class LiveInterrupted(Event, frozen=True, kw_only=True):
    pass


class LiveResumed(Event, frozen=True, kw_only=True):
    pass


class LiveStopped(Event, frozen=True, kw_only=True):
    """`reason` where no owner has stopped it."""

    reason: str | None = None


class LiveViewers(Event, frozen=True, kw_only=True):
    now: int
    peak: int
    unique: int


class Typing(MemberEvent, frozen=True, kw_only=True):
    pass


class Presence(Event, frozen=True, kw_only=True):
    online: int
    joined: list[Any] = []
    left: list[Any] = []


class Reactions(TargetEvent, frozen=True, kw_only=True):
    counts: dict[str, int]


class CommentsSampled(Event, frozen=True, kw_only=True):
    """Of `total` comments in a second everybody was shown `shown`; a `Skip` stands for the others."""

    shown: int
    total: int


class MessagePending(Event, frozen=True, kw_only=True):
    pending: str | int
    message: Message | None = None
    release_at: int | None = None


class Skip(Event, frozen=True, kw_only=True):
    """`room.skip`: the positions `first` to `last`, both included, are not for this viewer."""

    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")


class Reset(Event, frozen=True, kw_only=True):
    """The log could not be continued (`recovered: false` or `room.reset`): reload; what follows starts after `pos`."""

    epoch: str


class Removed(Event, frozen=True, kw_only=True):
    """This subscription was ended: `code` is kicked, banned, closed or revoked. The stream ends after it."""

    code: str
    reason: str | None = None
    until: int | None = None


class UserChanged(Event, frozen=True, kw_only=True):
    rooms: list[Unread]


class Mention(Event, frozen=True, kw_only=True):
    """A user event: `pos` in `room` mentions this user."""


class Invited(Event, frozen=True, kw_only=True):
    pass


class PendingResolved(Event, frozen=True, kw_only=True):
    """A user event: one's held message was resolved; `pos` is its position where it was approved."""

    pending: str | int
    outcome: str


TYPES: dict[str, type[Event]] = {
    "room.created": RoomCreated,
    "room.updated": RoomUpdated,
    "room.closed": RoomClosed,
    "member.joined": MemberJoined,
    "member.left": MemberLeft,
    "member.role": MemberRole,
    "member.muted": MemberMuted,
    "member.unmuted": MemberUnmuted,
    "member.kicked": MemberKicked,
    "member.banned": MemberBanned,
    "member.unbanned": MemberUnbanned,
    "message.created": MessageCreated,
    "message.edited": MessageEdited,
    "message.deleted": MessageDeleted,
    "message.pinned": MessagePinned,
    "message.unpinned": MessageUnpinned,
    "message.reacted": MessageReacted,
    "message.unreacted": MessageUnreacted,
    "tip.settled": TipSettled,
    "live.started": LiveStarted,
    "live.updated": LiveUpdated,
    "live.interrupted": LiveInterrupted,
    "live.resumed": LiveResumed,
    "live.stopped": LiveStopped,
    "live.viewers": LiveViewers,
    "typing": Typing,
    "presence": Presence,
    "reactions": Reactions,
    "comments.sampled": CommentsSampled,
    "message.pending": MessagePending,
    "room.skip": Skip,
    "room.reset": Reset,
    "room.removed": Removed,
    "user.changed": UserChanged,
    "mention": Mention,
    "invited": Invited,
    "pending.resolved": PendingResolved,
}

USER_EVENTS = frozenset({
    "user.changed", "mention", "invited", "pending.resolved", "live.health", "live.destination", "live.warning",
})  # fmt: skip
"""Types that go to the user, not to a room's stream, even where they name a room."""

_COMMON = frozenset({"type", "room", "pos", "at", "by"})


def decode_event(raw: dict[str, Any]) -> Event:
    """The typed event of a decoded object. Raises ProtocolViolation where a field is missing or of the wrong type."""
    values = {**raw, "fields": {name: value for name, value in raw.items() if name not in _COMMON}}
    try:
        return msgspec.convert(values, TYPES.get(raw["type"], Event))
    except msgspec.ValidationError as error:
        raise ProtocolViolation(f"event {raw['type']}: {error}") from error
