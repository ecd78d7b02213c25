"""The store on SQLite: one file, one writing thread, a few reading ones."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import event

from realtime.ports import Appended, Batch, Clock, Page, Unavailable
from realtime.stores.common import WAITING_READS, WAITING_WRITES, SQLStore
from realtime.stores.migrate import Migrated, upgrade
from realtime.stores.readers import Readers
from realtime.stores.sqlite_driver import BUSY_MS, Reading, damage, engine, unavailable
from realtime.stores.sqlite_search import any_unindexed, hits, misindexed
from realtime.stores.sqlite_writer import Writer
from realtime.stores.transaction import Transaction
from realtime.stores.verify import Own
from realtime.stores.works import Work
from rooms.ids import Millis

T = TypeVar("T")
READ_THREADS = 3
READ_TIMEOUT_MS = 5_000


def wall_clock() -> Millis:
    return time.time_ns() // 1_000_000


class SQLiteStore(SQLStore):
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
        self._engine = engine(path, busy_ms=busy_ms)
        reading = Reading(path, busy_ms=busy_ms)
        if trace is not None:
            event.listen(reading.engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: trace(sql))
        self._writer = Writer(self._engine, waiting_writes, busy_ms)
        super().__init__(
            clock, Readers(reading, READ_THREADS, waiting_reads, read_timeout_ms), hits, Own(damage, misindexed)
        )

    @property
    def waiting_writes(self) -> int:
        return self._writer.waiting

    async def open(self) -> None:
        await self.migrate()
        self._writer.start()

    async def migrate(self) -> Migrated:
        """Brings the schema up to date. Raises Unavailable."""
        try:
            return await asyncio.to_thread(self._upgrade)
        except Exception as error:
            reason = unavailable(error)
            if reason is None:
                raise
            raise reason from error

    def _upgrade(self) -> Migrated:
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            migrated = upgrade(connection)
            connection.exec_driver_sql("COMMIT")
            return migrated

    async def close(self) -> None:
        await self._readers.close()
        await self._writer.close()

    @property
    def commits(self) -> int:
        """Transactions committed since opening."""
        return self._writer.commits

    async def leave_outbox(self) -> None:
        """Nobody else has this database."""

    async def run(self, work: Work[T], *, of: str = "", rooms: Collection[str] = ()) -> T:
        return await self._writer.submit(work)

    def lane(self, room: str) -> int:
        return 0

    async def append_all(self, batches: Sequence[Batch]) -> list[Appended | Exception]:
        try:
            return list(await self.run(lambda tx: tx.append(batches)))
        except Unavailable:
            raise
        except Exception as error:
            if len(batches) == 1:
                return [error]
        return [await self._outcome(batch) for batch in batches]

    async def search(
        self, room: str, viewer: str, query: str, *, before: int | None, limit: int, from_pos: int
    ) -> Page:
        if await self._readers.read(any_unindexed):
            await self.run(Transaction.index)
        return await super().search(room, viewer, query, before=before, limit=limit, from_pos=from_pos)
