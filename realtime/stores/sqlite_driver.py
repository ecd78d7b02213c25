"""Connections to SQLite. Its library comes as a wheel (pysqlite3): the system's is too old to erase deleted words from
a full-text index (FTS5's `secure-delete`, SQLite 3.42).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysqlite3  # type: ignore[import-untyped]  # has no stubs; its API is sqlite3's
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from realtime.ports import Unavailable

Driver = Any
"""A `pysqlite3.Connection`."""

BUSY_MS = 250
"""How long a statement waits for another process's lock."""

_STEPS = 20_000
"""SQLite's virtual machine instructions between two looks at the clock."""
CACHE_KIB = 2_048
"""Of pages, a connection. It fills once with what was read and written last and stays so; a larger one, of up to eight
times as much, made neither commits nor reads quicker, as the system has the file's pages at hand too. A reader's is
emptied by the first read after a commit anyway.
"""

_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA secure_delete=ON",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA cache_size=-{CACHE_KIB}",
)

_UNAVAILABLE = frozenset({
    pysqlite3.SQLITE_BUSY,
    pysqlite3.SQLITE_CANTOPEN,
    pysqlite3.SQLITE_CORRUPT,
    pysqlite3.SQLITE_FULL,
    pysqlite3.SQLITE_INTERRUPT,
    pysqlite3.SQLITE_IOERR,
    pysqlite3.SQLITE_LOCKED,
    pysqlite3.SQLITE_NOMEM,
    pysqlite3.SQLITE_NOTADB,
    pysqlite3.SQLITE_PERM,
    pysqlite3.SQLITE_PROTOCOL,
    pysqlite3.SQLITE_READONLY,
})  # fmt: skip
Error = pysqlite3.Error


def engine(path: Path, *, busy_ms: int = BUSY_MS, read_only: bool = False) -> Engine:
    """An engine without a pool: each thread keeps a connection of its own and begins transactions by hand."""

    def connect() -> Driver:
        driver = pysqlite3.connect(
            path,
            timeout=busy_ms / 1_000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,  # the writer's, for every number of rows
        )
        try:
            for pragma in _PRAGMAS:
                driver.execute(pragma)
            if read_only:
                driver.execute("PRAGMA query_only=ON")
        except Error:
            driver.close()
            raise
        return driver

    return create_engine("sqlite://", creator=connect, module=pysqlite3, poolclass=NullPool)


def unavailable(error: BaseException) -> Unavailable | None:
    """What to raise for an error that is the disk's, the file's or another process's; None for one of our own."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _UNAVAILABLE:
        return Unavailable(f"the store cannot serve: {cause}")
    return None


class Reading:
    """`realtime.stores.readers.Driver` on a file."""

    def __init__(self, path: Path, *, busy_ms: int = BUSY_MS):
        self.engine = engine(path, busy_ms=busy_ms, read_only=True)

    def connect(self, deadline: float) -> Connection:
        return self.engine.connect()

    @contextmanager
    def snapshot(self, connection: Connection, deadline: float) -> Iterator[None]:
        raw: Driver = connection.connection.driver_connection
        self.extend(connection, deadline)
        raw.execute("BEGIN")
        try:
            yield
        finally:
            if raw.in_transaction:
                raw.execute("ROLLBACK")

    def extend(self, connection: Connection, deadline: float) -> None:
        raw: Driver = connection.connection.driver_connection
        raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)

    def unavailable(self, error: BaseException) -> Unavailable | None:
        return unavailable(error)


def damage(connection: Connection) -> list[str]:
    """What SQLite finds wrong with the file, its full-text index included. Takes as long as it takes."""
    raw: Driver = connection.connection.driver_connection
    raw.set_progress_handler(None, 0)
    try:
        found = [line for (line,) in raw.execute("PRAGMA quick_check").fetchall()]
    except Error as error:  # so damaged that it cannot even be looked at
        found = [str(error)]
    return [f"the file: {line}" for line in found if line != "ok"]
