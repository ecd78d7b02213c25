"""Parts to edge processes: who comes is given what it needs, however much that is; who does not read is cut off."""

import asyncio
import socket
from pathlib import Path

import pytest

from relay import feed as feeds
from relay import unix
from relay.feed import Feed, FeedReader
from relay.feed_values import Began, Index, Over, Stored, Told
from relay.parts_values import Part
from relay.units import HZ

PATIENCE = 20.0


def began(room: str) -> Began:
    return Began(room, "session", "ana", 0, b"secret", False, "folder")


def part(msn: int, size: int) -> Part:
    return Part(
        msn=msn, index=0, start=msn * HZ, duration=HZ, independent=True, init=1, discontinuity=False,
        discontinuities=0, data=bytes(size), empty=False,
    )  # fmt: skip


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple[int, Told]] = []

    def hears(self, stream: int, told: Told) -> None:
        self.told.append((stream, told))

    def loses(self) -> None:
        self.told.clear()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.told) < count:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)


async def test_who_comes_late_is_given_all_that_runs_also_where_that_is_more_than_may_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MOST_UNSENT", 1_000_000)
    feed, heard = Feed(), Heard()
    path = tmp_path / "feed.sock"
    await feed.start(unix.listen(path))
    lines = [feed.open(began(f"room{number}")) for number in range(4)]
    for line in lines:
        line.tell(part(0, 900_000))
    reading = asyncio.create_task(FeedReader(path, heard).run())
    try:
        await heard.until(4 * 3)
        lines[0].tell(part(1, 10))
        await heard.until(4 * 3 + 1)
        assert feed.cut_off == 0
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await feed.close()


class Baffled(Heard):
    """Can make nothing of the first thing that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.baffled = False

    def hears(self, stream: int, told: Told) -> None:
        if not self.baffled:
            self.baffled = True
            raise KeyError(stream)
        super().hears(stream, told)


async def test_what_nobody_can_make_sense_of_is_heard_anew(tmp_path: Path) -> None:
    feed, heard = Feed(), Baffled()
    path = tmp_path / "feed.sock"
    await feed.start(unix.listen(path))
    feed.open(began("room"))
    reading = asyncio.create_task(FeedReader(path, heard).run())
    try:
        await heard.until(2)
        assert heard.told[0] == (1, began("room"))
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await feed.close()


async def test_who_does_not_read_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST_UNSENT", 1_000_000)
    feed = Feed()
    path = tmp_path / "feed.sock"
    await feed.start(unix.listen(path))
    line = feed.open(began("room"))
    with unix.connect(path) as deaf:
        assert isinstance(deaf, socket.socket)
        async with asyncio.timeout(PATIENCE):
            msn = 0
            while not feed.cut_off:
                line.tell(part(msn, 300_000))
                msn += 1
                await asyncio.sleep(0)
    await feed.close()


async def test_of_what_is_on_disk_so_much_is_told_as_can_be_gone_back_to(tmp_path: Path) -> None:
    feed, heard = Feed(dvr_seconds=60), Heard()
    path = tmp_path / "feed.sock"
    await feed.start(unix.listen(path))
    line = feed.open(began("room"))
    for msn in range(100):
        line.tell(Stored(msn, msn * 2 * HZ, 2 * HZ, 1, False, 0, "file", 0, 10))
    reading = asyncio.create_task(FeedReader(path, heard).run())
    try:
        await heard.until(2)
        (index,) = (told for _, told in heard.told if isinstance(told, Index))
        assert [stored.msn for stored in index.segments] == list(range(69, 100))
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await feed.close()


async def test_what_the_disk_says_after_the_end_is_told_nobody(tmp_path: Path) -> None:
    """An edge process that heard of a stream it had forgotten stopped listening, and showed no later stream."""
    feed, heard = Feed(), Heard()
    path = tmp_path / "feed.sock"
    await feed.start(unix.listen(path))
    reading = asyncio.create_task(FeedReader(path, heard).run())
    try:
        line = feed.open(began("room"))
        async with asyncio.timeout(PATIENCE):
            while not heard.told:
                line.tell(part(0, 10))
                await asyncio.sleep(0.01)
        line.tell(Over("stopped"))
        line.tell(Stored(0, 0, HZ, 1, False, 0, "file", 0, 10))
        feed.open(began("other"))
        async with asyncio.timeout(PATIENCE):
            while heard.told[-1] != (2, began("other")):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        assert not any(isinstance(told, Stored) for _, told in heard.told)
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        await feed.close()
