"""What nodes tell each other through the broker. Nothing of it is the truth: that is in the store.

On the wire each is a MessagePack array that begins with its tag.
"""

from typing import Any

from msgspec import Struct

from rooms.actors import By
from rooms.effects import Ending
from rooms.events import Logged


class Message(Struct, frozen=True, array_like=True, tag_field="t"):
    """Something that a node says about a topic."""


# About a room


class Committed(Message, frozen=True, array_like=True, tag="c"):
    """Events that the node has written to the room's log, in order, without a hole.

    `traces`: a W3C `traceparent` for each of their commands that is traced. A node of a version without this field
    passes over it, and is read as if it had sent none.
    """

    epoch: str
    events: tuple[Logged, ...]
    traces: tuple[str, ...] = ()


class Beacon(Message, frozen=True, array_like=True, tag="b"):
    """How far the log of the room goes: so a message that got lost is missed, though none comes after it."""

    epoch: str
    pos: int


class RoomTold(Message, frozen=True, array_like=True, tag="r"):
    """An ephemeral event for all who listen to the room; for moderators alone where it is for `staff`."""

    event: dict[str, Any]
    staff: bool = False


class Renamed(Message, frozen=True, array_like=True, tag="n"):
    """A member or listener of the room goes by another name or avatar."""

    user: By


class Present(Message, frozen=True, array_like=True, tag="p"):
    """Who listens to the room at the node: how many, and their names by user where they are few enough to be named.
    The `number` rises with each that the node says, so that an older one is not taken for the latest.
    """

    number: int
    online: int
    names: dict[str, str] | None


class Retold(Message, frozen=True, array_like=True, tag="o"):
    """After its word of the number `since` the node has told of each room that somebody listens to there."""

    since: int


class Who(Message, frozen=True, array_like=True, tag="w"):
    """Asks for a `Present` of the room; on the topic of the nodes, of each room that somebody listens to, at the one
    `node` or, where it names none, at all of them.
    """

    node: str = ""


# About a user


class UserTold(Message, frozen=True, array_like=True, tag="u"):
    """An event that belongs to no room, for all of the user's connections."""

    user: str
    event: dict[str, Any]


class Joined(Message, frozen=True, array_like=True, tag="j"):
    """The user has become a member of the room."""

    user: str
    room: str


class Marked(Message, frozen=True, array_like=True, tag="m"):
    """The user has read further in the room, on some device."""

    user: str
    room: str


class LoggedOut(Message, frozen=True, array_like=True, tag="l"):
    """The user has logged out everywhere."""

    user: str


# About live streams, on the topic of the nodes: whoever has media processes hears it


class StreamEnded(Message, frozen=True, array_like=True, tag="s"):
    """Something of the room's stream is to be ended."""

    room: str
    ending: Ending


class StreamBegun(Message, frozen=True, array_like=True, tag="g"):
    """Everybody may watch the room's stream now."""

    room: str


class ViewerGone(Message, frozen=True, array_like=True, tag="v"):
    """The user may watch the room no longer."""

    room: str
    user: str


class RecordingsChanged(Message, frozen=True, array_like=True, tag="h"):
    """Others of the room's recordings may be read now."""

    room: str


class DestinationsChanged(Message, frozen=True, array_like=True, tag="d"):
    """The user's streams are pushed elsewhere from now on."""

    user: str


# About the nodes


class Alive(Message, frozen=True, array_like=True, tag="a"):
    """The node is there. `leaving`: it says so for the last time."""

    leaving: bool = False


Carried = (
    Committed
    | Beacon
    | RoomTold
    | Renamed
    | Present
    | Retold
    | Who
    | UserTold
    | Joined
    | Marked
    | LoggedOut
    | StreamEnded
    | StreamBegun
    | ViewerGone
    | RecordingsChanged
    | DestinationsChanged
    | Alive
)
