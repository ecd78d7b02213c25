"""What is free within the heap goes back to the kernel."""

import asyncio
import gc
import re
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


async def test_the_heap_is_trimmed_once_streams_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "TRIM_SECONDS", 0.01)
    trims: list[int] = []
    forgotten = [5]
    monkeypatch.setattr(heap, "trim", lambda: trims.append(forgotten[0]))
    made = Heap(lambda: forgotten[0])
    assert gc.get_freeze_count() > 0
    running = asyncio.create_task(made.run())
    for number in (7, 8):
        forgotten[0] = number
        assert made.untrimmed > 0
        async with asyncio.timeout(30):
            while made.untrimmed:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert trims == [7, 8]


def test_a_c_library_that_cannot_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    heap.trim()
