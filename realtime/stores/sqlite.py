"""The store on SQLite: one file, one writing thread, a few reading ones."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import event

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
    Unavailable,
)
from realtime.stores import lists, reads, timeline, upkeep
from realtime.stores.driver import BUSY_MS, engine, unavailable
from realtime.stores.migrate import upgrade
from realtime.stores.readers import Readers
from realtime.stores.transaction import Transaction
from realtime.stores.writer import Work, Writer
from rooms.effects import Invite, Pending
from rooms.events import Logged
from rooms.ids import Kind, Millis
from rooms.records import Record

T = TypeVar("T")
READ_THREADS = 3
READ_TIMEOUT_MS = 5_000
WAITING_READS = 1_024
WAITING_WRITES = 8_192


def wall_clock() -> Millis:
    return time.time_ns() // 1_000_000


class SQLiteStore:
    """`realtime.ports.Store` in the file `path`, which is made where there is none.

    `trace` is called with each SQL statement that reading runs, its parameters left out.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock = wall_clock,
        *,
        busy_ms: int = BUSY_MS,
        waiting_writes: int = WAITING_WRITES,
        waiting_reads: int = WAITING_READS,
        read_timeout_ms: int = READ_TIMEOUT_MS,
        trace: Callable[[str], None] | None = None,
    ):
        self._clock = clock
        self._engine = engine(path, busy_ms=busy_ms)
        reading = engine(path, busy_ms=busy_ms, read_only=True)
        if trace is not None:
            event.listen(reading, "before_cursor_execute", lambda _c, _cursor, sql, *_: trace(sql))
        self._writer = Writer(self._engine, waiting_writes, busy_ms)
        self._readers = Readers(reading, READ_THREADS, waiting_reads, read_timeout_ms)

    @property
    def waiting_writes(self) -> int:
        return self._writer.waiting

    @property
    def waiting_reads(self) -> int:
        return self._readers.waiting

    async def open(self) -> None:
        try:
            await asyncio.to_thread(self._upgrade)
        except Exception as error:
            reason = unavailable(error)
            if reason is None:
                raise
            raise reason from error
        self._writer.start()

    def _upgrade(self) -> None:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            upgrade(connection)
            connection.exec_driver_sql("COMMIT")

    async def close(self) -> None:
        await self._readers.close()
        await self._writer.close()

    # Writing

    @property
    def commits(self) -> int:
        """Transactions committed since opening."""
        return self._writer.commits

    async def run(self, work: Work[T]) -> T:
        """Runs a function of a `Transaction` in the writer, durable when this returns. Raises Unavailable."""
        return await self._writer.submit(work)

    async def append(self, batch: Batch) -> Appended:
        (appended,) = await self.run(lambda tx: tx.append([batch]))
        return appended

    async def append_all(self, batches: Sequence[Batch]) -> list[Appended | Exception]:
        try:
            return list(await self.run(lambda tx: tx.append(batches)))
        except Unavailable:
            raise
        except Exception as error:
            if len(batches) == 1:
                return [error]
        return [await self._outcome(batch) for batch in batches]

    async def _outcome(self, batch: Batch) -> Appended | Exception:
        try:
            return await self.append(batch)
        except Exception as error:
            return error

    async def discard_pending(self, pending: str) -> None:
        await self.run(partial(upkeep.discard_pending, pending=pending))

    async def mark_read(self, user: str, room: str, pos: int) -> None:
        await self.run(lambda tx: tx.mark_read(user, room, pos))

    async def save_profile(self, user: str, name: str, avatar: str | None) -> bool:
        return await self.run(partial(upkeep.save_profile, user=user, name=name, avatar=avatar))

    async def log_out(self, user: str, at: Millis) -> None:
        await self.run(partial(upkeep.log_out, user=user, at=at))

    async def taken(self, up_to: int) -> None:
        await self.run(partial(upkeep.taken, up_to=up_to))

    async def forget_keys(self, before: Millis) -> None:
        await self.run(partial(upkeep.forget_keys, before=before))

    # Reading

    async def accesses(self, asked: Collection[tuple[str, str]]) -> dict[tuple[str, str], Access]:
        return await self._readers.read(partial(reads.accesses, asked=asked))

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
        if await self._readers.read(timeline.any_unindexed):
            await self.run(Transaction.index)
        found = partial(timeline.search, room=room, viewer=viewer, query=query, before=before, limit=limit)
        return await self._readers.read(partial(found, from_pos=from_pos, now=self._clock()))

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
