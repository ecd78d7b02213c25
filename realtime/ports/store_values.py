"""What the store is given and what it answers (`realtime.ports.Store`)."""

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from rooms.actors import By
from rooms.effects import Effect, Invite, Pending, Recording
from rooms.events import Logged, Quote
from rooms.ids import Kind, Millis, Visibility
from rooms.live import Live, Stream
from rooms.mentions import Named
from rooms.room import Message, Person, Room
from rooms.settings import Settings

# Appending


class KeyClaim(Struct, frozen=True):
    """Makes a command happen once: `user`, `scope` (the room; empty where none is known) and `key` name it,
    `body` is a digest of the command without its `id`.
    """

    user: str
    scope: str
    key: str
    body: bytes


class Proposal(Struct, frozen=True):
    """What one command wants written, all or nothing, with the reply it then gets (see `rooms.decide.Decision`)."""

    events: tuple[Logged, ...]
    effects: tuple[Effect, ...]
    key: KeyClaim | None
    reply: dict[str, Any]
    pos: bool
    timed: bool


class Batch(Struct, frozen=True):
    """Proposals for one room, each decided as if those before it were written, after position `base`."""

    room: str
    base: int
    rules_pos: int
    at: Millis
    proposals: tuple[Proposal, ...]


class Written(Struct, frozen=True):
    """The proposal is in the log. `reply` is what the command's `ok` adds, with `pos` and `at` where asked for."""

    reply: dict[str, Any]


class Duplicate(Struct, frozen=True):
    """The key was claimed before, by the same body. `reply` is the first one's. Nothing was written."""

    reply: dict[str, Any]


class KeyReused(Struct, frozen=True):
    """The key was claimed before, by another body. Nothing was written."""


class Refused(Struct, frozen=True):
    """The condition `effect` did not hold, or the room of a `room.created` exists. Nothing was written."""

    effect: Effect | None


class NotTried(Struct, frozen=True):
    """Decided on what is not so: decide again after catching up."""


Result = Written | Duplicate | KeyReused | Refused | NotTried


class Appended(Struct, frozen=True):
    """`events`: all that the log holds after the batch's `base`, in order, with their final positions: first `others`
    that somebody else has written, then the batch's own. `results`: one a proposal.
    """

    events: tuple[Logged, ...]
    results: tuple[Result, ...]
    others: int = 0


# What is read


class Access(Struct, frozen=True):
    """What decides whether a user may know of a room, as of its event at `pos`."""

    visibility: Visibility
    person: Person | None
    pos: int


class Loaded(Struct, frozen=True):
    """A room as of its last event, with what the domain does not hold. `first_pos` is the first position still kept."""

    room: Room
    epoch: str
    first_pos: int


class Found(Struct, frozen=True):
    """Answers to `Needs`. People and messages that do not exist map to None."""

    people: dict[str, Person | None]
    messages: dict[int, Message | None]
    named: Named
    invite: Invite | None
    pending: Pending | None
    purge: tuple[int, ...]
    stream: Stream = Stream()
    recording: Recording | None = None


class Reaction(Struct, frozen=True):
    emoji: str
    count: int
    mine: bool


class Original(Struct, frozen=True):
    """A text as it was before an edit, for moderators."""

    text: str
    at: Millis


class Listed(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as `message.list` shows it."""

    pos: int
    n: int
    at: Millis
    by: By
    text: str | UnsetType = UNSET
    mentions: tuple[str, ...] | UnsetType = UNSET
    reply_to: Quote | UnsetType = UNSET
    edited_at: Millis | UnsetType = UNSET
    deleted: bool = False
    pinned: bool = False
    reactions: tuple[Reaction, ...] | UnsetType = UNSET
    originals: tuple[Original, ...] | UnsetType = UNSET


class Page(Struct, frozen=True):
    """Messages in ascending order; `more` says whether there are further ones in the direction read."""

    messages: tuple[Listed, ...]
    more: bool


class Span(Struct, frozen=True):
    """A stretch of a room's messages: at most one of `before`, `after`, `around`; none means the latest.
    Nothing below `from_pos` is read.
    """

    before: int | None = None
    after: int | None = None
    around: int | None = None
    limit: int = 50
    from_pos: int = 1


class MemberRow(Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    role: str
    avatar: str | None = None
    muted_until: Millis | None = None


class RoomRow(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A room in a list; `at` is its latest event's time, `role` the asking user's."""

    id: str
    kind: Kind
    title: str
    visibility: Visibility
    settings: Settings
    members: int
    pos: int
    at: Millis
    closed: bool = False
    role: str = "none"
    live: Live | None = None


class ReadState(Struct, frozen=True):
    """How far a member has read. `n` is the count of messages up to `pos`; `mentions` counts those after it."""

    room: str
    user: str
    pos: int
    n: int
    mentions: int
    total: int
    """Messages in the room, so that unread is `total - n`."""


class Profile(Struct, frozen=True):
    user: str
    name: str
    avatar: str | None
    valid_after: Millis = 0
    """Tokens issued before this are refused: the user has logged out everywhere."""
