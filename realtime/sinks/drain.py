"""Moves interaction records from the store's outbox to the sink."""

import asyncio
import random
from typing import Protocol

import structlog

from realtime.ports import Clock, RecordSink, Unavailable
from rooms.ids import Millis
from rooms.records import Record

BATCH = 1_000
"""About how many records are read and offered at once (see `realtime.ports.Store.outbox`): what bounds the memory."""
REST = 0.25
"""Seconds between batches that are not full: each costs the store a transaction and the sink an fsync, for which
messages would wait."""
LOOK = 1.0
"""Seconds after which the outbox is looked into though nobody has said that it holds anything."""
FIRST_WAIT = 0.1
LONGEST_WAIT = 30.0
"""Seconds to wait after a first failure, doubled with each further one; up to half of it is left out at random."""

_log = structlog.get_logger()


class Outbox(Protocol):
    """The part of the Store that this needs."""

    async def outbox(self, limit: int) -> list[tuple[int, Record]]: ...

    async def taken(self, up_to: int) -> None: ...

    async def leave_outbox(self) -> None: ...


class Drain:
    """A task that offers the outbox's records to the sink, in order and at least once, whenever `notify` was called,
    and every LOOK seconds: other processes write records too, of which one drains all, and any may have ended.

    Slow or gone: while the store or the sink raises, it waits, longer each time, and tries again; the records wait in
    the outbox. Where the sink raises, another process may be the one to drain. A record is offered again only if the
    process ended between the sink's answer and the store's, or lost its turn meanwhile.
    """

    def __init__(
        self,
        store: Outbox,
        sink: RecordSink,
        clock: Clock,
        *,
        batch: int = BATCH,
        rest: float = REST,
        look: float = LOOK,
        first_wait: float = FIRST_WAIT,
        longest_wait: float = LONGEST_WAIT,
    ):
        self._store = store
        self._sink = sink
        self._clock = clock
        self._batch = batch
        self._rest = rest
        self._look = look
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._work = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._accepted: int | None = None
        """Sequence number of the last record that the sink took and the store does not know of."""
        self._oldest_at: Millis | None = None
        self._failures = 0
        self.drained = 0
        """Records taken by the sink so far."""

    def start(self) -> None:
        """Begins with what an earlier run of the process left."""
        self._task = asyncio.create_task(self._run(), name="records drain")

    def notify(self) -> None:
        """Says that the outbox may hold new records. Costs nothing when said often."""
        self._work.set()

    async def close(self) -> None:
        """Lets the batch in hand finish. The rest stays in the outbox for the next start."""
        self._closing.set()
        self._work.set()
        if self._task is not None:
            await self._task

    @property
    def lag_ms(self) -> int:
        """Age of the oldest record known to wait; 0 where none does."""
        return max(0, self._clock() - self._oldest_at) if self._oldest_at is not None else 0

    async def _run(self) -> None:
        while not self._closing.is_set():
            self._work.clear()
            try:
                more = await self._move()
            except Exception as error:
                await self._failed(error)
                continue
            if self._failures:
                _log.info("records.recovered", attempts=self._failures)
                self._failures = 0
            if not more:
                await self._closed_within(self._rest)
                await _set_within(self._work, self._look)

    async def _move(self) -> bool:
        """Moves one batch. Returns whether it was full."""
        await self._acknowledge()
        waiting = await self._store.outbox(self._batch)
        if waiting:
            self._oldest_at = waiting[0][1].at
            await self._offer([record for _, record in waiting])
            self._accepted = waiting[-1][0]
            self.drained += len(waiting)
            await self._acknowledge()
        if len(waiting) >= self._batch:
            return True
        self._oldest_at = None
        return False

    async def _offer(self, records: list[Record]) -> None:
        try:
            await self._sink.write(records)
        except Exception:
            await self._store.leave_outbox()
            raise

    async def _acknowledge(self) -> None:
        if self._accepted is not None:
            await self._store.taken(self._accepted)
            self._accepted = None

    async def _failed(self, error: Exception) -> None:
        """Logs the first failure of an outage, and waits. What is no outage is tried again too: records must flow."""
        if not self._failures:
            unexpected = not isinstance(error, Unavailable)
            _log.warning("records.waiting", reason=str(error) or type(error).__name__, exc_info=unexpected)
        wait = min(self._longest_wait, self._first_wait * 2 ** min(self._failures, 30))
        self._failures += 1
        wait *= random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
        await self._closed_within(wait)

    async def _closed_within(self, seconds: float) -> None:
        """Returns when that time has passed, or at once on closing."""
        await _set_within(self._closing, seconds)


async def _set_within(event: asyncio.Event, seconds: float) -> None:
    """Returns when that time has passed, or the event is set."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
