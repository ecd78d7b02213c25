"""The one thread that writes: whatever waits becomes one transaction and one fsync."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from realtime.ports import Unavailable
from realtime.stores.driver import Error, unavailable
from realtime.stores.transaction import Transaction

T = TypeVar("T")
Work = Callable[[Transaction], T]
"""Runs within a transaction, perhaps twice: it has no effect but on the transaction."""

MAX_TOGETHER = 1_024
KNOWN_USERS = 100_000
ERASE_S = 1.0
"""After how long texts that were taken out are erased from the write-ahead log too; tried again as often."""
INDEX_S = 1.0
INDEX_MANY = 1_024
"""After how long, and with how many of them, new messages are put into the full-text index: each time makes a segment
of it, however small. At 5 µs a message the next commit waits 5 ms for them."""


class _Job(Struct):
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs work in the order given, all or nothing each, durable when its future is done.

    The queue holds `limit` works; `submit` raises Unavailable when it is full. A work that fails by its own fault takes
    no other along. A commit that fails (disk full, database locked) makes all its works Unavailable; the next
    one starts afresh, on a new connection if need be.
    """

    def __init__(self, engine: Engine, limit: int, busy_ms: int):
        self._engine = engine
        self._busy_ms = busy_ms
        self._limit = limit
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._core: Connection | None = None
        self._known: set[str] = set()
        self._erase_at: float | None = None
        self._index_at: float | None = 0.0  # an earlier run may have left some
        self._unindexed = 0
        self._closed = False
        self.commits = 0

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    async def submit(self, work: Work[T]) -> T:
        """Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        if self._queue.qsize() >= self._limit:
            raise Unavailable("the store has too much to write")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Job(work, loop, future))
        return await future

    async def close(self) -> None:
        """Writes what is queued."""
        if self._closed:
            return
        self._closed = True
        if self._thread.ident is not None:
            self._queue.put(None)
            await asyncio.to_thread(self._thread.join)

    # In the thread

    def _run(self) -> None:
        while True:
            jobs, last = self._take()
            if jobs:
                self._commit(jobs)
                _settle(jobs)
            if last:
                break
            if self._unindexed >= INDEX_MANY or _due(self._index_at):
                self._index()
            if _due(self._erase_at):
                self._erase()
        self._erase()
        self._drop_connection()

    def _take(self) -> tuple[list[_Job], bool]:
        """All that waits, and whether it is the last. Waits for the first, at most until something else is due."""
        jobs: list[_Job] = []
        due = min((at for at in (self._erase_at, self._index_at) if at is not None), default=None)
        try:
            job = self._queue.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            while job is not None:
                jobs.append(job)
                if len(jobs) == MAX_TOGETHER:
                    return jobs, False
                job = self._queue.get_nowait()
        except queue.Empty:
            return jobs, False
        return jobs, True

    def _commit(self, jobs: list[_Job]) -> None:
        """One transaction for all; where one of them fails by its own fault, each gets its own."""
        try:
            self._write(partial(_do, jobs))
        except Exception as error:
            reason = unavailable(error)
            if reason is None and len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            for job in jobs:
                job.error = reason or error

    def _write(self, work: Work[None]) -> None:
        """One transaction."""
        try:
            core = self._connection()
            raw: Any = core.connection.driver_connection
            raw.execute("BEGIN IMMEDIATE")
            tx = Transaction(core, self._known)
            work(tx)
            tx.finish()
            raw.execute("COMMIT")
        except Exception:
            self._roll_back()
            raise
        self.commits += 1
        now = time.monotonic()
        if tx.erased and self._erase_at is None:
            self._erase_at = now + ERASE_S
        self._unindexed = tx.unindexed + (0 if tx.indexed else self._unindexed)
        if tx.indexed or self._index_at is None:
            self._index_at = now + INDEX_S if tx.unindexed else None
        if len(self._known) > KNOWN_USERS:
            self._known.clear()
        self._known.update(tx.new_users)

    def _connection(self) -> Connection:
        if self._core is None:
            self._core = self._engine.connect()
        return self._core

    def _roll_back(self) -> None:
        """Leaves no transaction open. A connection that cannot even do that is given up."""
        if self._core is None:
            return
        raw: Any = self._core.connection.driver_connection
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except Error:
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._core is not None:
            self._core.invalidate()
            self._core.close()
            self._core = None

    def _index(self) -> None:
        """Brings the full-text index up to date. Where the disk fails, or another process is in the way, it is tried
        again later; a search that needs it does so itself.
        """
        try:
            self._write(Transaction.index)
        except (Error, DBAPIError):
            self._unindexed, self._index_at = 0, time.monotonic() + INDEX_S

    def _erase(self) -> None:
        """Empties the write-ahead log, where texts that were taken out still stand. Waits for no reader: where one is
        in the way, or the disk fails, it is tried again later.
        """
        self._erase_at = time.monotonic() + ERASE_S
        try:
            core = self._connection()
            core.exec_driver_sql("PRAGMA busy_timeout=0")
            busy, *_ = core.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
            core.exec_driver_sql(f"PRAGMA busy_timeout={self._busy_ms}")
            if not busy:
                self._erase_at = None
        except (Error, DBAPIError):
            self._drop_connection()


def _due(at: float | None) -> bool:
    return at is not None and time.monotonic() >= at


def _do(jobs: list[_Job], tx: Transaction) -> None:
    for job in jobs:
        job.result = job.work(tx)


def _settle(jobs: list[_Job]) -> None:
    """Gives each loop the results of its jobs in one step."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_complete, mine)
        except RuntimeError:  # the loop is closed: nobody waits for these any more
            if not loop.is_closed():
                raise


def _complete(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
