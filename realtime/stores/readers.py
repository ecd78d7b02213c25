"""Threads that read, each on a connection of its own, so that reading never waits for writing."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from realtime.ports import Unavailable
from realtime.stores.driver import Error, unavailable

T = TypeVar("T")
_STEPS = 20_000
"""SQLite's virtual machine instructions between two looks at the clock."""


class Readers:
    """Runs functions of a connection, each in a snapshot of its own.

    At most `limit` wait or run; above that, and for what takes longer than `timeout_ms`, `read` raises Unavailable.
    """

    def __init__(self, engine: Engine, threads: int, limit: int, timeout_ms: int):
        self._engine = engine
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

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._pool.shutdown)
            for connection in self._connections:
                connection.close()

    def _run(self, work: Callable[[Connection], T], deadline: float) -> T:
        if time.monotonic() > deadline:
            raise Unavailable("the store has too much to read")
        connection: Connection | None = None
        try:
            connection = self._connection()
            raw: Any = connection.connection.driver_connection
            raw.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
            raw.execute("BEGIN")
            try:
                return work(connection)
            finally:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
        except Exception as error:
            reason = unavailable(error)
            if reason is None:
                raise
            self._drop(connection)
            raise reason from error

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._engine.connect()
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
        except (Error, DBAPIError) as error:
            if unavailable(error) is None:
                raise
