"""A thread that writes: whatever waits for it becomes one transaction."""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from msgspec import Struct

from realtime.ports import Unavailable
from realtime.stores.transaction import Transaction

T = TypeVar("T")
Work = Callable[[Transaction], T]
"""Runs within a transaction, perhaps several times: it has no effect but on the transaction."""

MAX_TOGETHER = 1_024
KNOWN_USERS = 100_000
"""Most users of whom a thread remembers that their names are stored."""


class Job(Struct):
    work: Work[Any]
    rooms: Collection[str]
    """Those of whose logs it is known beforehand that the work writes them."""
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    at: float
    """When it was submitted, by `time.monotonic`."""
    result: Any = None
    error: BaseException | None = None


class Works:
    """Runs work in the order given, all or nothing each, durable when its future is done.

    The queue holds `limit` works; `submit` raises Unavailable when it is full. A work that fails by its own fault takes
    no other along. A commit that fails (disk full, database locked or gone) makes all its works Unavailable; the next
    one starts afresh, on a new connection if need be. Subclasses say how to write.
    """

    def __init__(self, limit: int, name: str):
        self._limit = limit
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._closed = False
        self.commits = 0

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def start(self) -> None:
        self._thread.start()

    async def submit(self, work: Work[T], rooms: Collection[str] = ()) -> T:
        """Raises Unavailable."""
        if self._closed:
            raise Unavailable("the store is closed")
        if self._queue.qsize() >= self._limit:
            raise Unavailable("the store has too much to write")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(Job(work, rooms, loop, future, time.monotonic()))
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

    def _write(self, jobs: list[Job]) -> None:
        """One transaction for all of them, durable when this returns; sets their results."""
        raise NotImplementedError

    def _unavailable(self, error: BaseException) -> Unavailable | None:
        """What to raise for an error that is not of the work's own making; None for one that is."""
        raise NotImplementedError

    def _next_due(self) -> float | None:
        """When `_idle` wants to be called though no work comes, by `time.monotonic`."""
        return None

    def _idle(self) -> None:
        """Called after each transaction, and when due."""

    def _end(self) -> None:
        """Lets go of the connection."""

    def _run(self) -> None:
        while True:
            jobs, last = self._take()
            if jobs:
                self._commit(jobs)
                _settle(jobs)
            if last:
                break
            self._idle()
        self._end()

    def _take(self) -> tuple[list[Job], bool]:
        """All that waits, and whether it is the last. Waits for the first, at most until something else is due."""
        jobs: list[Job] = []
        due = self._next_due()
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

    def _commit(self, jobs: list[Job]) -> None:
        """One transaction for all; where one of them fails by its own fault, each gets its own."""
        try:
            self._write(jobs)
        except Exception as error:
            reason = self._unavailable(error)
            if reason is None and len(jobs) > 1:
                for job in jobs:
                    self._commit([job])
                return
            for job in jobs:
                job.error = reason or error


def _settle(jobs: list[Job]) -> None:
    """Gives each loop the results of its jobs in one step."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        by_loop.setdefault(job.loop, []).append(job)
    for loop, mine in by_loop.items():
        try:
            loop.call_soon_threadsafe(_complete, mine)
        except RuntimeError:  # the loop is closed: nobody waits for these any more
            if not loop.is_closed():
                raise


def _complete(jobs: list[Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
