"""What the server needs of the outside world. Each docstring states ordering, atomicity and loss.

Every adapter passes the contract suite of its port (tests/contracts).
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Protocol

from msgspec import UNSET, Struct, UnsetType

from rooms.actors import By
from rooms.drafts import Draft, Verdict
from rooms.effects import Effect, Invite, Pending
from rooms.events import Logged, Quote
from rooms.ids import Kind, Millis, Visibility
from rooms.mentions import Named
from rooms.records import Record
from rooms.room import Message, Person, Room
from rooms.settings import Settings


class Unavailable(Exception):
    """The store (or another part that a command needs) cannot serve now. Nothing of the command has happened.

    `retry_after_ms` is when to try again.
    """

    def __init__(self, what: str, retry_after_ms: int = 1_000):
        super().__init__(what)
        self.retry_after_ms = retry_after_ms


# The log


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
    """`events`: all that the log holds after the batch's `base`, others' and the batch's own, in order, with their
    final positions. `results`: one a proposal.
    """

    events: tuple[Logged, ...]
    results: tuple[Result, ...]


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


class Store(Protocol):
    """The log: the truth of every room, and the projections that follow from it.

    *Atomicity*: a proposal's events, effects, projections, key and interaction records are in the store together or not
    at all, and durable (fsynced) when `append` returns. *Order*: positions are given in the order of the proposals,
    gapless. *Loss*: none that was returned. *Reading*: every read sees all that an `append` that has returned wrote.
    Texts stand in one place each: after an edit or a deletion no read returns the old one.

    *Slow or gone*: every method raises Unavailable when the store cannot be reached, is locked, full, or its queue is
    full, within the configured time; a later call works again without restart. An `append` that raised has written
    nothing, or (a connection lost at the commit) all of it: a repeated key then tells.
    """

    async def open(self) -> None:
        """Brings the schema up to date. Raises Unavailable."""

    async def close(self) -> None:
        """Writes what is queued and lets go of all connections."""

    async def append(self, batch: Batch) -> Appended:
        """Writes the proposals in order. If the log holds a restricting event after `rules_pos` that lies after
        `base`, nothing is written and all are NotTried. At the first proposal that is not Written, those after it
        are NotTried. Appends of several rooms that wait together share one transaction; a proposal that is not
        written does not harm the others.
        """

    async def append_all(self, batches: Sequence[Batch]) -> Sequence[Appended | Exception]:
        """Writes each batch as `append` does, those of one room in order, in one transaction or in a few, each with its
        own rooms. Returns one answer a batch.

        A batch that fails by its own fault (what `append` would raise, Unavailable aside) fails alone: its answer is
        the exception. The others are then written one transaction each, and any that finds the store unavailable has
        that Unavailable for its answer. Raises Unavailable where no batch was written.
        """

    async def accesses(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], Access]:
        """For each room and user where there is such a room; by queries that are the same whether there is or not."""

    async def load(self, room: str) -> Loaded | None: ...

    async def find(
        self,
        room: str,
        *,
        people: Collection[str] = (),
        messages: Collection[int] = (),
        names: Collection[str] = (),
        invite: str | None = None,
        pending: str | None = None,
        purge: tuple[str, Millis] | None = None,
        purge_limit: int = 0,
    ) -> Found:
        """Looks up what deciding needs. `names` are looked up as ids and, casefolded, as names: of members, in live
        rooms of all who ever wrote. `purge`: positions of a user's undeleted messages since a time, newest first.
        """

    async def invite_room(self, code: str) -> str | None:
        """The room that an invite leads to; None where there is no such invite."""

    async def duplicate(self, claim: KeyClaim) -> Duplicate | KeyReused | None:
        """What a repeated key gets; None for a new one."""

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        """Logged events with `after < pos <= to`, ascending, the first `limit` of them, as they read now."""

    async def messages(self, room: str, viewer: str, span: Span, *, originals: bool) -> Page: ...

    async def reactions(self, room: str, target: int) -> dict[str, int]:
        """Emoji → how many users, in order of first appearance."""

    async def search(
        self, room: str, viewer: str, query: str, *, before: int | None, limit: int, from_pos: int
    ) -> Page:
        """Messages that hold every word of `query`, newest first. CJK is found by any two characters in a row.
        `before` continues a page: messages below that position.
        """

    async def members(self, room: str, *, role: str | None, after: str | None, limit: int) -> list[MemberRow]:
        """Members by id, those after the id `after`."""

    async def rooms(
        self,
        user: str,
        *,
        mine: bool,
        everything: bool,
        kind: Kind | None,
        popular: bool,
        cursor: str | None,
        limit: int,
    ) -> tuple[list[RoomRow], str | None]:
        """Rooms, newest activity or most members first: public ones and the user's own; only the user's own where
        `mine`; all where `everything` (platform admins). Returns a cursor where there are more.
        Raises ValueError for a cursor that none of these calls gave.
        """

    async def invites(self, room: str, now: Millis) -> list[Invite]: ...

    async def pending(self, room: str, author: str | None) -> list[Pending]:
        """Messages that wait in the room; those of `author`, where given."""

    async def due(self, now: Millis, limit: int) -> list[Pending]:
        """Delayed messages whose time has come, in order."""

    async def discard_pending(self, pending: str) -> None:
        """Drops a message that can no longer be released."""

    async def mark_read(self, user: str, room: str, pos: int) -> None:
        """Raises the member's read position, never lowers it; nothing for who is no member."""

    async def read_states(self, users: Collection[str], room: str | None = None) -> list[ReadState]:
        """Of all the users' memberships, or of those in one room; by user and room."""

    async def memberships(self, user: str) -> list[str]:
        """The rooms of which the user is a member."""

    async def save_profile(self, user: str, name: str, avatar: str | None) -> bool:
        """Keeps the name and avatar to show for this user from now on. Returns whether they have changed."""

    async def profiles(self, users: Collection[str]) -> dict[str, Profile]:
        """Of those users who have one."""

    async def log_out(self, user: str, at: Millis) -> None:
        """Raises the user's `valid_after` to `at`."""

    async def outbox(self, limit: int) -> list[tuple[int, Record]]:
        """The oldest interaction records that no sink has taken yet, in order, each with its sequence number.

        Records written together may share a number; they are then returned together, so there may be more than `limit`
        (by some hundreds at most). Fewer are returned only where no more wait.
        """

    async def taken(self, up_to: int) -> None:
        """Removes the records that `outbox` has returned up to a sequence number, with all those that bear it."""

    async def forget_keys(self, before: Millis) -> None:
        """Drops idempotency keys claimed, and digests of texts said, before a time."""


# Fan-out between nodes

Receive = Callable[[str, Sequence[Logged]], None]


class Broker(Protocol):
    """Carries a room's committed events to the other nodes that have listeners of the room.

    It may lose, repeat and reorder: receivers go by `pos` and read what is missing from the store. It never blocks
    the caller; what it cannot send it drops and counts.
    """

    async def open(self, receive: Receive) -> None: ...

    async def close(self) -> None: ...

    def publish(self, room: str, events: Sequence[Logged]) -> None: ...


# Interaction records


class RecordSink(Protocol):
    """Takes interaction records out of the outbox to whoever rewards them.

    *At least once*: records are offered in order until `write` has returned, and again after a crash; `Record.id`
    tells repeats. *Slow or gone*: `write` raises Unavailable; records wait in the outbox, which is durable.
    """

    async def write(self, records: Sequence[Record]) -> None:
        """Returns when the records are durable on the other side. Raises Unavailable."""

    async def close(self) -> None: ...


# Content policy


class Policy(Protocol):
    """Judges drafts. Judging what is known on the spot returns a verdict at once; what needs asking is awaited.

    *Slow or gone*: an awaited verdict is waited for at most as long as the policy says itself; then it answers with
    its own default. It never raises.
    """

    def judge(self, draft: Draft) -> Verdict | Awaitable[Verdict]: ...


class Clock(Protocol):
    """Time, passed in so that tests can turn it."""

    def __call__(self) -> Millis: ...
