"""What is free within the heap goes back to the kernel."""

import asyncio
import gc
import re
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime import heap
from realtime.heap import Heap

MEGABYTE = 1024
"""In KiB."""


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def resident() -> int:
    found = re.search(r"^RssAnon:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def holes(megabytes: int) -> bytes:
    """Leaves so much free in the heap, below what is returned."""
    blocks = [b"x" * 999 + bytes([number % 256]) for number in range(megabytes * 1_000)]
    return blocks[-1]


def test_holes_are_given_back() -> None:
    last = holes(60)
    before = resident()
    heap.trim()
    assert resident() < before - 40 * MEGABYTE
    assert len(last) == 1_000


async def looked_after(made: Heap) -> None:
    """Runs until nothing is untrimmed."""
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(30):
        while made.untrimmed:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_the_heap_is_trimmed_once_streams_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "TRIM_SECONDS", 0.01)
    trims: list[int] = []
    forgotten = [5]
    monkeypatch.setattr(heap, "trim", lambda: trims.append(forgotten[0]))
    made = Heap(lambda: forgotten[0], lambda: True)
    assert gc.get_freeze_count() > 0
    for number in (7, 8):
        forgotten[0] = number
        assert made.untrimmed > 0
        await looked_after(made)
    assert trims == [7, 8]


async def test_cycles_are_collected_where_nothing_is_live_that_would_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    monkeypatch.setattr(heap, "TRIM_SECONDS", 0.01)
    forgotten, idle = [0], [False]
    made = Heap(lambda: forgotten[0], lambda: idle[0])
    gc.disable()
    try:
        left = weakref.ref(Cycle())
        for number, is_idle in ((1, False), (2, True)):
            forgotten[0], idle[0] = number, is_idle
            await looked_after(made)
            assert (left() is None) is is_idle
    finally:
        gc.enable()


def test_a_c_library_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    heap.trim()
