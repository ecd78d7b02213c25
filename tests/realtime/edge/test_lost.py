"""Streams whose media process is gone, or whose end a gateway knows of first."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from realtime.edge.audience import Counters
from realtime.edge.live import Heard, Live, Lives
from realtime.edge.process import EdgeServer
from relay.feed_values import Began, Index, Interrupted, Over, Poster, Stored
from relay.units import HZ
from tests.realtime.edge.test_edge import Everybody, now_ms
from tests.support.server import config

BEGAN = Began("r1", "s1", "ann", 0, b"k" * 32, False, "s1")


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def lives(lost_seconds: float) -> tuple[Lives, list[Live]]:
    gone: list[Live] = []
    return Lives(0, lost_seconds, Counters(), gone.append), gone


async def test_a_stream_of_a_process_that_does_not_come_back_is_over() -> None:
    known, gone = lives(0.02)
    heard = Heard(known)
    heard.hears(1, BEGAN)
    live = known.rooms["r1"]
    heard.loses()
    assert (live.interrupted, live.over) == (True, None)
    await until(lambda: gone == [live])
    assert live.over == Over("gone")


async def test_a_stream_that_is_there_again_goes_on() -> None:
    known, gone = lives(0.02)
    heard, other = Heard(known), Heard(known)
    heard.hears(1, BEGAN)
    live = known.rooms["r1"]
    heard.loses()
    heard.hears(1, BEGAN)
    other.hears(1, Began("r2", "s2", "ann", 0, b"l" * 32, False, "s2"))
    other.loses()
    await until(lambda: gone)
    assert [one.began.room for one in gone] == ["r2"]
    assert (known.rooms["r1"], live.over) == (live, None)


async def test_an_end_is_said_once_whoever_says_it_first() -> None:
    known, gone = lives(60)
    heard = Heard(known)
    heard.hears(1, BEGAN)
    live = known.rooms["r1"]
    heard.hears(1, Poster(b"picture"))
    known.end(live, Over("stopped"))
    heard.hears(1, Interrupted())
    heard.hears(1, Over("gone"))
    assert (gone, live.over, live.interrupted, live.poster) == ([live], Over("stopped"), False, b"picture")
    known.end(live, Over("taken_down"))
    assert (gone, live.over, live.poster) == ([live], Over("taken_down"), b"")


async def test_a_gateway_ends_what_its_media_process_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime.edge.process.LAST_WORDS_SECONDS", 0.02)
    edge = EdgeServer(config(tmp_path, {"GALAXY_RELAY__PROCESSES": "1"}), Everybody(), now_ms)
    Heard(edge.lives).hears(1, BEGAN)
    live = edge.lives.rooms["r1"]
    await edge.ended("r1", "another", "taken_down")
    await edge.ended("r2", "s1", "taken_down")
    assert live.over is None
    await edge.ended("r1", "s1", "stopped")
    assert live.over is None, "the last parts may be on their way"
    await until(lambda: live.over == Over("stopped"))
    await edge.ended("r1", "s1", "banned")
    assert live.over == Over("banned")


async def test_the_rates_of_what_is_heard_anew_are_those_on_disk() -> None:
    """A playlist that says 0 is one that some players give up."""
    live = Live(BEGAN, 3_600, Counters())
    sizes = [1_000, 0, 3_000]  # the second was not written
    live.tell(
        Index(tuple(Stored(msn, msn * 2 * HZ, 2 * HZ, 1, False, 0, "1.mp4", 0, size) for msn, size in enumerate(sizes)))
    )
    assert live.bandwidth == (12_000, 8_000)
