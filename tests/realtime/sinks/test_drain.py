import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from realtime.ports import Unavailable
from realtime.sinks.drain import Drain
from rooms.records import Record

NOW = 1_795_367_182_123


class MemoryOutbox:
    """An outbox whose methods raise what `failures` holds, one a call."""

    def __init__(self, count: int = 0):
        self.rows: list[tuple[int, Record]] = []
        self.failures: list[Exception] = []
        self.refuse_taken: list[Exception] = []
        self.asked = 0
        self.left = 0
        self.add(count)

    def add(self, count: int) -> None:
        first = self.rows[-1][0] + 1 if self.rows else self.asked + 1
        for n in range(first, first + count):
            record = Record(id=f"r/{n}/0", kind="message", room="r", pos=n, at=NOW - 1_000 + n, user="ann")
            self.rows.append((n, record))

    async def outbox(self, limit: int) -> list[tuple[int, Record]]:
        self.asked += 1
        if self.failures:
            raise self.failures.pop(0)
        return self.rows[:limit]

    async def taken(self, up_to: int) -> None:
        if self.refuse_taken:
            raise self.refuse_taken.pop(0)
        self.rows = [row for row in self.rows if row[0] > up_to]

    async def leave_outbox(self) -> None:
        self.left += 1


class ListSink:
    """A sink that raises what `failures` holds, one a call, and then keeps batches. `gate` holds writes back."""

    def __init__(self) -> None:
        self.batches: list[list[int | None]] = []
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()

    async def write(self, records: Sequence[Record]) -> None:
        self.entered.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append([record.pos for record in records])

    async def close(self) -> None:
        pass

    @property
    def positions(self) -> list[int | None]:
        return [pos for batch in self.batches for pos in batch]


@asynccontextmanager
async def draining(outbox: MemoryOutbox, sink: ListSink, **options: Any) -> AsyncIterator[Drain]:
    settings = {"first_wait": 0.001, "longest_wait": 0.01, "look": 3_600} | options
    drain = Drain(outbox, sink, lambda: NOW, **settings)
    drain.start()
    yield drain
    await drain.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the conditions are of plain values, which tell nobody
            await asyncio.sleep(0.001)


async def test_moves_what_an_earlier_run_left_in_order_and_in_batches() -> None:
    outbox, sink = MemoryOutbox(10), ListSink()
    async with draining(outbox, sink, batch=4) as drain:
        await until(lambda: not outbox.rows)
    assert sink.batches == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert drain.drained == 10


async def test_wakes_on_notify_only() -> None:
    outbox, sink = MemoryOutbox(), ListSink()
    async with draining(outbox, sink) as drain:
        await until(lambda: outbox.asked == 1)
        for _ in range(100):
            drain.notify()
        await until(lambda: outbox.asked == 2)
        outbox.add(2)
        drain.notify()
        await until(lambda: len(sink.positions) == 2)


async def test_what_nobody_has_told_of_is_found() -> None:
    outbox, sink = MemoryOutbox(), ListSink()
    async with draining(outbox, sink, rest=0.001, look=0.001):
        await until(lambda: outbox.asked > 2)
        outbox.add(2)
        await until(lambda: len(sink.positions) == 2)


async def test_a_notify_during_a_write_is_not_lost() -> None:
    outbox, sink = MemoryOutbox(1), ListSink()
    sink.gate.clear()
    async with draining(outbox, sink) as drain:
        await sink.entered.wait()
        outbox.add(1)
        drain.notify()
        sink.gate.set()
        await until(lambda: sink.positions == [1, 2])


@pytest.mark.parametrize("failures", [1, 8])
async def test_tries_again_while_the_sink_is_gone_and_logs_the_outage_once(failures: int) -> None:
    outbox, sink = MemoryOutbox(3), ListSink()
    sink.failures = [Unavailable("no space") for _ in range(failures)]
    with capture_logs() as logs:
        async with draining(outbox, sink):
            await until(lambda: not outbox.rows)
    assert outbox.left == failures, "another process may have a sink that works"
    assert sink.batches == [[1, 2, 3]]
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("records.waiting", "warning"),
        ("records.recovered", "info"),
    ]
    assert logs[0]["reason"] == "no space"
    assert logs[1]["attempts"] == failures


async def test_tries_again_while_the_store_is_gone() -> None:
    outbox, sink = MemoryOutbox(3), ListSink()
    outbox.failures = [Unavailable("locked"), Unavailable("locked")]
    async with draining(outbox, sink):
        await until(lambda: not outbox.rows)
    assert sink.batches == [[1, 2, 3]]


async def test_an_unexpected_failure_is_logged_with_its_trace_and_does_not_end_the_flow() -> None:
    outbox, sink = MemoryOutbox(1), ListSink()
    sink.failures = [ValueError("odd")]
    with capture_logs() as logs:
        async with draining(outbox, sink):
            await until(lambda: not outbox.rows)
    assert logs[0]["exc_info"]
    assert sink.positions == [1]


async def test_what_the_sink_took_is_not_offered_again_when_the_store_fails_to_note_it() -> None:
    outbox, sink = MemoryOutbox(2), ListSink()
    outbox.refuse_taken = [Unavailable("locked"), Unavailable("locked")]
    async with draining(outbox, sink):
        await until(lambda: not outbox.rows)
    assert sink.batches == [[1, 2]]


async def test_lag_is_the_age_of_the_oldest_waiting_record() -> None:
    outbox, sink = MemoryOutbox(1), ListSink()
    sink.gate.clear()
    async with draining(outbox, sink) as drain:
        assert drain.lag_ms == 0
        await sink.entered.wait()
        assert drain.lag_ms == 999
        sink.gate.set()
        await until(lambda: drain.lag_ms == 0)


async def test_full_batches_follow_each_other_at_once_and_others_after_a_rest() -> None:
    outbox, sink = MemoryOutbox(5), ListSink()
    async with draining(outbox, sink, batch=2, rest=3_600) as drain:
        await until(lambda: drain.drained == 5)
        assert sink.batches == [[1, 2], [3, 4], [5]]
        outbox.add(1)
        drain.notify()
        await asyncio.sleep(0.01)
    assert drain.drained == 5


async def test_what_comes_during_a_rest_is_moved_after_it() -> None:
    outbox, sink = MemoryOutbox(1), ListSink()
    async with draining(outbox, sink, rest=0.001) as drain:
        await until(lambda: drain.drained == 1)
        outbox.add(1)
        drain.notify()
        await until(lambda: drain.drained == 2)


async def test_closing_finishes_the_batch_in_hand_and_leaves_the_rest() -> None:
    outbox, sink = MemoryOutbox(4), ListSink()
    sink.gate.clear()
    async with draining(outbox, sink, batch=2) as drain:
        await sink.entered.wait()
        closing = asyncio.create_task(drain.close())
        await asyncio.sleep(0)
        sink.gate.set()
        await closing
    assert sink.batches == [[1, 2]]
    assert [number for number, _ in outbox.rows] == [3, 4]


async def test_closing_does_not_wait_for_the_end_of_an_outage() -> None:
    outbox, sink = MemoryOutbox(1), ListSink()
    sink.failures = [Unavailable("gone")]
    drain = Drain(outbox, sink, lambda: NOW, first_wait=3_600, longest_wait=3_600)
    drain.start()
    await until(lambda: not sink.failures)
    async with asyncio.timeout(10):
        await drain.close()
    assert len(outbox.rows) == 1
