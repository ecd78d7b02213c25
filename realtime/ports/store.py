"""The log and what follows from it, as the server uses it."""

from collections.abc import Collection, Sequence
from typing import Protocol

from realtime.ports.lives import Lives
from realtime.ports.store_values import (
    Access,
    Appended,
    Batch,
    Duplicate,
    Found,
    KeyClaim,
    KeyReused,
    Loaded,
    MemberRow,
    Page,
    Profile,
    ReadState,
    RoomRow,
    Span,
)
from rooms.effects import Invite, Pending
from rooms.events import Logged
from rooms.ids import Kind, Millis
from rooms.records import Record


class Store(Lives, Protocol):
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

        Where some of the events after `base` have been pruned, nothing is written, all are NotTried, and no events are
        returned.
        """

    def lane(self, room: str) -> int:
        """Rooms of one lane are written together, or one after the other; those of different lanes at the same time."""

    async def append_all(self, batches: Sequence[Batch]) -> Sequence[Appended | Exception]:
        """Writes each batch as `append` does, those of one room in order, in one transaction or in a few, each with its
        own rooms. Returns one answer a batch.

        A batch that fails by its own fault (what `append` would raise, Unavailable aside) fails alone: its answer is
        the exception. The others are then written one transaction each, and any that finds the store unavailable has
        that Unavailable for its answer. Raises Unavailable where no batch was written.
        """

    async def accesses(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], Access]:
        """For each room and user where there is such a room; by queries that are the same whether there is or not."""

    async def heads(self, rooms: Collection[str]) -> dict[str, tuple[str, int]]:
        """The epoch and the last position of each of the rooms that there is."""

    async def load(self, room: str) -> Loaded | None: ...

    async def first_positions(self, rooms: Collection[str]) -> dict[str, int]:
        """Room → the first position still kept, of those that there are."""

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
        stream: bool = False,
        recording: str | None = None,
    ) -> Found:
        """Looks up what deciding needs. `names` are looked up as ids and, casefolded, as names: of members, in live
        rooms of all who ever wrote. `purge`: positions of a user's undeleted messages since a time, newest first.
        """

    async def invite_room(self, code: str) -> str | None:
        """The room that an invite leads to; None where there is no such invite."""

    async def duplicate(self, claim: KeyClaim) -> Duplicate | KeyReused | None:
        """What a repeated key gets; None for a new one."""

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        """Logged events with `after < pos <= to`, ascending, the first `limit` of them, as they read now. Where the
        first of these positions have been pruned, without them: the rest is gapless.
        """

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

    async def discard_pending(self, pending: str) -> bool:
        """Drops a message that can no longer be released. Returns whether it still waited."""

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

        Of the processes that share the log only one is given any, from the first call that finds no other until it has
        left or ended (or stood still for half a minute): the others find nothing.
        """

    async def leave_outbox(self) -> None:
        """Lets another process be the one that is given records."""

    async def taken(self, up_to: int) -> None:
        """Removes the records that `outbox` has returned up to a sequence number, with all those that bear it."""

    async def forget_keys(self, before: Millis) -> None:
        """Drops idempotency keys claimed, and digests of texts said, before a time."""
