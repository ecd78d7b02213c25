"""Every logged event of `galaxy.v1` as a frozen value (docs/protocol.md, "Objects").

An event's struct is its wire form: encoding it as JSON or MessagePack gives the object that clients receive.
Fields that hold their default are left out. Here as in all of this package, values refer to values only, never in a
circle: the collector of cycles need not look at them (`gc=False`), which saves a twelfth of a message's price.
"""

from typing import ClassVar

from msgspec import Struct

from rooms.actors import By
from rooms.ids import Kind, Millis, Visibility
from rooms.settings import Settings, SettingsPatch


class Quote(Struct, frozen=True, gc=False, omit_defaults=True):
    """The message that a reply answers; `text` is its beginning as it reads now, or absent if it was deleted."""

    pos: int
    by: By | None = None
    text: str | None = None
    deleted: bool = False


class Body(Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A message. `n` counts the room's messages, from 1; `mentions` are user ids."""

    text: str
    n: int
    reply_to: Quote | None = None
    mentions: tuple[str, ...]


class RoomInfo(Struct, frozen=True):
    id: str
    kind: Kind
    title: str
    visibility: Visibility
    settings: Settings


class RoomChanges(Struct, frozen=True, omit_defaults=True):
    title: str | None = None
    settings: SettingsPatch | None = None


class Event(Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True, tag_field="type"):
    """A logged event at `pos` of the room's log, `at` milliseconds since the Unix epoch.

    A `restricting` one takes a right from somebody, or begins or ends a live: a decision made without knowing of it
    must be made again.
    """

    restricting: ClassVar[bool] = False
    reserved: ClassVar[bool] = False
    """Whether such an event may say something that not all are told (`rooms.visibility.differs`)."""

    room: str
    pos: int
    at: Millis
    by: By


class RoomCreated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="room.created"):
    """The first event of a room; `by` becomes its owner."""

    room_info: RoomInfo


class RoomUpdated(Event, frozen=True, kw_only=True, omit_defaults=True, tag="room.updated"):
    restricting: ClassVar[bool] = True

    changes: RoomChanges


class RoomClosed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="room.closed"):
    restricting: ClassVar[bool] = True


class UserEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event about one user: `user` is the id, `name` the name to show."""

    user: str
    name: str


class MemberJoined(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.joined"):
    pass


class MemberLeft(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.left"):
    pass


class MemberRoleChanged(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.role"):
    restricting: ClassVar[bool] = True

    role: str


class MemberMuted(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.muted"):
    """`reason` and who muted are for moderators and the target alone (`rooms.visibility`)."""

    restricting: ClassVar[bool] = True
    reserved: ClassVar[bool] = True

    until: Millis | None = None
    reason: str | None = None


class MemberUnmuted(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.unmuted"):
    pass


class MemberKicked(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.kicked"):
    """`was_member` is false where a mere listener was sent away, so that whoever counts members can."""

    restricting: ClassVar[bool] = True
    reserved: ClassVar[bool] = True

    reason: str | None = None
    was_member: bool = True


class MemberBanned(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.banned"):
    restricting: ClassVar[bool] = True
    reserved: ClassVar[bool] = True

    until: Millis | None = None
    reason: str | None = None
    was_member: bool = True


class MemberUnbanned(UserEvent, frozen=True, kw_only=True, omit_defaults=True, tag="member.unbanned"):
    pass


class MessageEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event that carries a message's present text, or `deleted` and no message."""

    message: Body | None = None
    deleted: bool = False


class MessageCreated(MessageEvent, frozen=True, kw_only=True, omit_defaults=True, tag="message.created"):
    pass


class MessageEdited(MessageEvent, frozen=True, kw_only=True, omit_defaults=True, tag="message.edited"):
    target: int


class MessageDeleted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message.deleted"):
    reserved: ClassVar[bool] = True

    target: int
    reason: str | None = None


class MessageReacted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message.reacted"):
    target: int
    emoji: str


class MessageUnreacted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message.unreacted"):
    target: int
    emoji: str


class MessagePinned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message.pinned"):
    target: int
    until: Millis | None = None


class MessageUnpinned(Event, frozen=True, kw_only=True, omit_defaults=True, tag="message.unpinned"):
    target: int


class LiveEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What happens to a room's live stream; `by` is its creator, or who stopped it."""

    restricting: ClassVar[bool] = True


class Media(Struct, frozen=True):
    """Where a live is watched: paths on this server."""

    whep: str
    stream: str
    hls: str


class LiveStarted(LiveEvent, frozen=True, kw_only=True, omit_defaults=True, tag="live.started"):
    """`session` names this live: its recordings bear it."""

    session: str
    title: str
    category: str | None = None
    mature: bool = False
    media: Media


class LiveUpdated(LiveEvent, frozen=True, kw_only=True, omit_defaults=True, tag="live.updated"):
    """What the live is called from now on."""

    title: str
    category: str | None = None
    mature: bool = False


class LiveInterrupted(LiveEvent, frozen=True, kw_only=True, omit_defaults=True, tag="live.interrupted"):
    """The publisher is gone, and has some time to come back."""


class LiveResumed(LiveEvent, frozen=True, kw_only=True, omit_defaults=True, tag="live.resumed"):
    pass


class LiveStopped(LiveEvent, frozen=True, kw_only=True, omit_defaults=True, tag="live.stopped"):
    """`reason` where its creator has not stopped it."""

    reason: str | None = None


Logged = (
    RoomCreated
    | RoomUpdated
    | RoomClosed
    | MemberJoined
    | MemberLeft
    | MemberRoleChanged
    | MemberMuted
    | MemberUnmuted
    | MemberKicked
    | MemberBanned
    | MemberUnbanned
    | MessageCreated
    | MessageEdited
    | MessageDeleted
    | MessageReacted
    | MessageUnreacted
    | MessagePinned
    | MessageUnpinned
    | LiveStarted
    | LiveUpdated
    | LiveInterrupted
    | LiveResumed
    | LiveStopped
)


class Reset(Struct, frozen=True, gc=False, tag_field="type", tag="room.reset"):
    """The room has gone on by what cannot be told: whoever listens begins anew, with what comes after `pos`."""

    room: str
    epoch: str
    pos: int


class Skip(Struct, frozen=True, gc=False, tag_field="type", tag="room.skip", rename={"first": "from", "last": "to"}):
    """Announces that the positions `first` to `last`, both included, are not for this viewer."""

    room: str
    first: int
    last: int
