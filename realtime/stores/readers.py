"""Threads that read, each on a connection of its own, so that reading never waits for writing."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from realtime.ports import Unavailable

T = TypeVar("T")


class Driver(Protocol):
    """How a database is read. `deadline` is a time of `time.monotonic`."""

    def connect(self, deadline: float) -> Connection: ...

    def snapshot(self, connection: Connection, deadline: float) -> AbstractContextManager[None]:
        """Within it all reads see one moment, and those that last beyond the deadline fail."""

    def extend(self, connection: Connection, deadline: float) -> None:
        """Within a snapshot: its reads have until then."""

    def unavailable(self, error: BaseException) -> Unavailable | None:
        """What to raise for an error that is not of our own making; None for one that is."""


class Readers:
    """Runs functions of a connection, each in a snapshot of its own.

    At most `limit` wait or run; above that, and for what takes longer than `timeout_ms`, `read` raises Unavailable.
    """

    def __init__(self, driver: Driver, threads: int, limit: int, timeout_ms: int):
        self._driver = driver
        self._limit = limit
        self._timeout_s = timeout_ms / 1_000
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._connections: list[Connection] = []
        self._closed = False
        self.waiting = 0

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        if self.waiting >= self._limit:
            raise Unavailable("the store has too much to read")
        self.waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._pool, self._run, work, time.monotonic() + self._timeout_s)
        finally:
            self.waiting -= 1

    def extend(self, connection: Connection) -> None:
        """Gives what is being read as long again, from now on."""
        self._driver.extend(connection, time.monotonic() + self._timeout_s)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._pool.shutdown)
            for connection in self._connections:
                connection.close()

    def _run(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Of a connection that was kept the server may have let go since: then the next one tells."""
        if time.monotonic() > deadline:
            raise Unavailable("the store has too much to read")
        kept = getattr(self._mine, "connection", None) is not None
        try:
            return self._read(work, deadline)
        except Unavailable:
            if not kept or time.monotonic() > deadline:
                raise
        return self._read(work, deadline)

    def _read(self, work: Callable[[Connection], T], deadline: float) -> T:
        connection: Connection | None = None
        try:
            connection = self._connection(deadline)
            with self._driver.snapshot(connection, deadline):
                return work(connection)
        except Exception as error:
            reason = self._driver.unavailable(error)
            if reason is None:
                raise
            self._drop(connection)
            raise reason from error

    def _connection(self, deadline: float) -> Connection:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._driver.connect(deadline)
            with self._lock:
                self._connections.append(connection)
        return connection

    def _drop(self, connection: Connection | None) -> None:
        """Gives a connection up after an error: the next read opens another."""
        if connection is None:
            return
        self._mine.connection = None
        with self._lock:
            self._connections.remove(connection)
        try:
            connection.invalidate()
            connection.close()
        except Exception as error:
            if self._driver.unavailable(error) is None:
                raise
