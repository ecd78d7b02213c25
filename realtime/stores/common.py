"""What the stores on SQL databases share: all but how they connect, lock and commit."""

from collections.abc import Callable, Collection
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from realtime.ports import (
    Access,
    Appended,
    Batch,
    Clock,
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
    Store,
)
from realtime.stores import lists, reads, timeline, upkeep
from realtime.stores.lives import SQLLives
from realtime.stores.migrate import Migrated
from realtime.stores.readers import Readers
from realtime.stores.verify import Own
from realtime.stores.works import Work
from rooms.effects import Invite, Pending
from rooms.events import Logged
from rooms.ids import Kind, Millis
from rooms.records import Record

T = TypeVar("T")
WAITING_READS = 1_024
WAITING_WRITES = 8_192


class SQLStore(SQLLives, Store):
    """The part of `realtime.ports.Store` that follows from `run` and from `readers`."""

    def __init__(self, clock: Clock, readers: Readers, hits: timeline.Hits, own: Own):
        self._clock = clock
        self._readers = readers
        self._hits = hits
        self.own = own

    @property
    def waiting_reads(self) -> int:
        return self._readers.waiting

    async def run(self, work: Work[T], *, of: str = "", rooms: Collection[str] = ()) -> T:
        """Runs a function of a `Transaction`, durable when this returns; works of the same room or user `of` in the
        order given. `rooms`: those that it is known to append to. Raises Unavailable.
        """
        raise NotImplementedError

    async def migrate(self) -> Migrated:
        """Brings the schema up to date. Raises Unavailable."""
        raise NotImplementedError

    # Writing

    async def append(self, batch: Batch) -> Appended:
        (appended,) = await self.run(lambda tx: tx.append([batch]), of=batch.room, rooms=(batch.room,))
        return appended

    async def _outcome(self, batch: Batch) -> Appended | Exception:
        try:
            return await self.append(batch)
        except Exception as error:
            return error

    async def discard_pending(self, pending: str) -> bool:
        return await self.run(partial(upkeep.discard_pending, pending=pending))

    async def mark_read(self, user: str, room: str, pos: int) -> None:
        await self.run(lambda tx: tx.mark_read(user, room, pos), of=room, rooms=(room,))

    async def save_profile(self, user: str, name: str, avatar: str | None) -> bool:
        return await self.run(partial(upkeep.save_profile, user=user, name=name, avatar=avatar), of=user)

    async def log_out(self, user: str, at: Millis) -> None:
        await self.run(partial(upkeep.log_out, user=user, at=at), of=user)

    async def taken(self, up_to: int) -> None:
        await self.run(partial(upkeep.taken, up_to=up_to))

    async def forget_keys(self, before: Millis) -> None:
        await self.run(partial(upkeep.forget_keys, before=before))

    # Reading

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs a function of a connection, in a snapshot of its own. Raises Unavailable."""
        return await self._readers.read(work)

    async def scan(self, work: Callable[[Connection, Callable[[], None]], T]) -> T:
        """As `read`, for work of any length: each time it calls its second argument it has as long again as a read."""
        return await self._readers.read(lambda connection: work(connection, partial(self._readers.extend, connection)))

    async def first_positions(self, rooms: Collection[str]) -> dict[str, int]:
        return await self._readers.read(partial(reads.first_positions, asked=rooms))

    async def accesses(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], Access]:
        return await self._readers.read(partial(reads.accesses, asked=asked))

    async def heads(self, rooms: Collection[str]) -> dict[str, tuple[str, int]]:
        return await self._readers.read(partial(reads.heads, asked=rooms))

    async def load(self, room: str) -> Loaded | None:
        return await self._readers.read(partial(reads.load, room_id=room))

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
        return await self._readers.read(
            partial(
                reads.find,
                room=room,
                people=people,
                positions=messages,
                names=names,
                invite=invite,
                pending=pending,
                purge=purge,
                purge_limit=purge_limit,
                stream=stream,
                recording=recording,
            )
        )

    async def invite_room(self, code: str) -> str | None:
        return await self._readers.read(partial(reads.invite_room, code=code))

    async def duplicate(self, claim: KeyClaim) -> Duplicate | KeyReused | None:
        return await self._readers.read(partial(reads.duplicate, claim=claim))

    async def events(self, room: str, *, after: int, to: int, limit: int) -> list[Logged]:
        return await self._readers.read(partial(reads.events, room=room, after=after, to=to, limit=limit))

    async def messages(self, room: str, viewer: str, span: Span, *, originals: bool) -> Page:
        page = partial(timeline.page, room=room, viewer=viewer, span=span, with_originals=originals, now=self._clock())
        return await self._readers.read(page)

    async def reactions(self, room: str, target: int) -> dict[str, int]:
        return await self._readers.read(partial(timeline.reaction_counts, room=room, target=target))

    async def search(
        self, room: str, viewer: str, query: str, *, before: int | None, limit: int, from_pos: int
    ) -> Page:
        found = partial(timeline.search, room=room, viewer=viewer, query=query, hits=self._hits, before=before)
        return await self._readers.read(partial(found, limit=limit, from_pos=from_pos, now=self._clock()))

    async def members(self, room: str, *, role: str | None, after: str | None, limit: int) -> list[MemberRow]:
        return await self._readers.read(
            partial(lists.members, room=room, role=role, after=after, limit=limit, now=self._clock())
        )

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
        listed = partial(lists.room_list, user=user, mine=mine, everything=everything, kind=kind, popular=popular)
        return await self._readers.read(partial(listed, cursor=cursor, limit=limit))

    async def invites(self, room: str, now: Millis) -> list[Invite]:
        return await self._readers.read(partial(lists.room_invites, room=room, now=now))

    async def pending(self, room: str, author: str | None) -> list[Pending]:
        return await self._readers.read(partial(lists.room_pending, room=room, author=author))

    async def due(self, now: Millis, limit: int) -> list[Pending]:
        return await self._readers.read(partial(lists.due, now=now, limit=limit))

    async def read_states(self, users: Collection[str], room: str | None = None) -> list[ReadState]:
        return await self._readers.read(partial(lists.read_states, users=users, room=room))

    async def memberships(self, user: str) -> list[str]:
        return await self._readers.read(partial(lists.memberships, user=user))

    async def profiles(self, users: Collection[str]) -> dict[str, Profile]:
        return await self._readers.read(partial(reads.profiles, asked=users))

    async def outbox(self, limit: int) -> list[tuple[int, Record]]:
        return await self._readers.read(partial(lists.records, limit=limit))
