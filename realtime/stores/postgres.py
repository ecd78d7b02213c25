"""The store on PostgreSQL: a few lanes that write, by room, and a few connections to read by, each with a thread of its
own (docs/decisions/0014).
"""

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import TypeVar
from zlib import crc32

import psycopg
from sqlalchemy.exc import DBAPIError

from realtime.ports import Appended, Batch, Clock, Unavailable
from realtime.stores.common import WAITING_READS, WAITING_WRITES, SQLStore
from realtime.stores.migrate import Migrated, upgrade
from realtime.stores.postgres_driver import PostgresDriver, bounded
from realtime.stores.postgres_lanes import Lane
from realtime.stores.postgres_outbox import Turn
from realtime.stores.postgres_search import hits, misindexed
from realtime.stores.readers import Readers
from realtime.stores.verify import Own
from realtime.stores.works import Work
from rooms.records import Record

T = TypeVar("T")
_MIGRATING = 0x67616C6178790001
"""Key of the advisory lock under which one node at a time migrates."""


class PostgresStore(SQLStore):
    """`realtime.ports.Store` in the database that `url` names (libpq's `postgresql://...`).

    Every method returns or raises Unavailable within `timeout_ms`. Works of one room go through one of `write_lanes`,
    in order; lanes do not wait for each other. Several nodes may use one database.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        timeout_ms: int,
        write_lanes: int,
        read_connections: int,
        waiting_writes: int = WAITING_WRITES,
        waiting_reads: int = WAITING_READS,
    ):
        self._driver = PostgresDriver(url, timeout_ms)
        self._timeout_s = timeout_ms / 1_000
        known: set[str] = set()
        share = max(1, waiting_writes // write_lanes)
        self._lanes = [Lane(self._driver, known, share, timeout_ms, f"store-lane-{i}") for i in range(write_lanes)]
        self._turn = Turn(self._driver, waiting_reads, timeout_ms)
        self._offered: set[int] = set()
        super().__init__(
            clock,
            Readers(self._driver, read_connections, waiting_reads, timeout_ms),
            hits,
            Own(lambda _: [], misindexed),  # of damage to its files PostgreSQL tells when it reads them
        )

    @property
    def waiting_writes(self) -> int:
        return sum(lane.waiting for lane in self._lanes)

    @property
    def commits(self) -> int:
        """Transactions committed since opening."""
        return sum(lane.commits for lane in self._lanes)

    async def open(self) -> None:
        await self.migrate()
        for lane in self._lanes:
            lane.start()

    async def migrate(self) -> Migrated:
        """Brings the schema up to date, one node at a time. Raises Unavailable."""
        try:
            return await asyncio.to_thread(self._upgrade)
        except (psycopg.Error, DBAPIError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise Unavailable(f"the store cannot be opened: {str(cause).strip()}") from error

    def _upgrade(self) -> Migrated:
        with self._driver.connect(time.monotonic() + self._timeout_s) as connection:
            raw = bounded(connection)
            if raw.info.encoding != "utf-8" or raw.info.parameter_status("server_encoding") != "UTF8":
                raise Unavailable("the store cannot be opened: the database's encoding is not UTF8")
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")
            migrated = upgrade(connection)
            connection.exec_driver_sql("COMMIT")
            return migrated

    async def close(self) -> None:
        await self._turn.close()
        await self._readers.close()
        await asyncio.gather(*(lane.close() for lane in self._lanes))

    # Writing

    def lane(self, room: str) -> int:
        return crc32(room.encode()) % len(self._lanes)

    def _lane(self, of: str) -> Lane:
        return self._lanes[self.lane(of)]

    async def run(self, work: Work[T], *, of: str = "", rooms: Collection[str] = ()) -> T:
        return await self._lane(of).submit(work, rooms)

    async def append_all(self, batches: Sequence[Batch]) -> list[Appended | Exception]:
        """One transaction a lane, all lanes at once."""
        parts: dict[Lane, list[Batch]] = {}
        for batch in batches:
            parts.setdefault(self._lane(batch.room), []).append(batch)
        written = await asyncio.gather(*(self._together(part) for part in parts.values()))
        answers = {lane: iter(some) for lane, some in zip(parts, written, strict=True)}
        outcomes = [next(answers[self._lane(batch.room)]) for batch in batches]
        first = next(iter(outcomes), None)
        if isinstance(first, Unavailable) and all(isinstance(outcome, Unavailable) for outcome in outcomes):
            raise first
        return outcomes

    async def _together(self, batches: list[Batch]) -> list[Appended | Exception]:
        rooms = [batch.room for batch in batches]
        try:
            return list(await self.run(lambda tx: tx.append(batches), of=rooms[0], rooms=rooms))
        except Unavailable as error:
            return [error] * len(batches)
        except Exception as error:
            if len(batches) == 1:
                return [error]
        return [await self._outcome(batch) for batch in batches]

    # The outbox

    async def outbox(self, limit: int) -> list[tuple[int, Record]]:
        found = await self._turn.records(limit)
        self._offered.update(number for number, _ in found)
        return found

    async def leave_outbox(self) -> None:
        await self._turn.leave()

    async def taken(self, up_to: int) -> None:
        """Of lanes that write at once the one that took its number first may commit last: what a reader has not seen
        below a number is not gone, so only what it has seen is removed.
        """
        numbers = [number for number in self._offered if number <= up_to]
        await self.run(lambda tx: tx.raw.execute("DELETE FROM outbox WHERE seq = ANY(%s)", (numbers,)))
        self._offered.difference_update(numbers)
