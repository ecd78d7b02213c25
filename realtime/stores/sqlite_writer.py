"""The one thread that writes to SQLite: whatever waits becomes one transaction and one fsync."""

import time
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from realtime.ports import Unavailable
from realtime.stores.sqlite_driver import Error, unavailable
from realtime.stores.sqlite_statements import SQLiteStatements
from realtime.stores.transaction import Transaction
from realtime.stores.works import KNOWN_USERS, Job, Work, Works

ERASE_S = 1.0
"""After how long texts that were taken out are erased from the write-ahead log too; tried again as often."""
INDEX_S = 1.0
INDEX_MANY = 1_024
"""After how long, and with how many of them, new messages are put into the full-text index: each time makes a segment
of it, however small. At 5 µs a message the next commit waits 5 ms for them."""


class Writer(Works):
    """Writes; keeps the full-text index up to date, and the write-ahead log free of what was erased."""

    def __init__(self, engine: Engine, limit: int, busy_ms: int):
        super().__init__(limit, "store-writer")
        self._engine = engine
        self._busy_ms = busy_ms
        self._core: Connection | None = None
        self._known: set[str] = set()
        self._erase_at: float | None = None
        self._index_at: float | None = 0.0  # an earlier run may have left some
        self._unindexed = 0

    # In the thread

    def _next_due(self) -> float | None:
        return min((at for at in (self._erase_at, self._index_at) if at is not None), default=None)

    def _idle(self) -> None:
        if self._unindexed >= INDEX_MANY or _due(self._index_at):
            self._index()
        if _due(self._erase_at):
            self._erase()

    def _end(self) -> None:
        self._erase()
        self._drop_connection()

    def _unavailable(self, error: BaseException) -> Unavailable | None:
        return unavailable(error)

    def _write(self, jobs: list[Job]) -> None:
        def work(tx: Transaction) -> None:
            for job in jobs:
                job.result = job.work(tx)

        self._transact(work)

    def _transact(self, work: Work[None]) -> None:
        """One transaction."""
        try:
            core = self._connection()
            raw: Any = core.connection.driver_connection
            raw.execute("BEGIN IMMEDIATE")
            statements = SQLiteStatements(raw)
            tx = Transaction(core, statements, self._known)
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
        self._unindexed = statements.unindexed + (0 if statements.indexed else self._unindexed)
        if statements.indexed or self._index_at is None:
            self._index_at = now + INDEX_S if statements.unindexed else None
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
            self._transact(Transaction.index)
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
