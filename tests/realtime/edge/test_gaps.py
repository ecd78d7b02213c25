"""Segments that are nowhere any more."""

import asyncio
import re

from hypothesis import given
from hypothesis import strategies as st

from realtime.edge.audience import Counters
from realtime.edge.live import Live
from relay.feed_values import Began
from relay.parts_values import Init, Part, SegmentEnded
from relay.units import HZ


def skipped(live: Live) -> set[int]:
    """Media sequence numbers that a delta update leaves out."""
    text = live.playlist("dvr.m3u8", skip=True).decode()
    first = re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", text)
    count = re.search(r"#EXT-X-SKIP:SKIPPED-SEGMENTS=(\d+)", text)
    if first is None or count is None:
        return set()
    return set(range(int(first[1]), int(first[1]) + int(count[1])))


@given(st.lists(st.integers(2, 4), min_size=20, max_size=60))
def test_nothing_that_is_skipped_becomes_a_gap(seconds: list[int]) -> None:
    """Nothing is on disk: whatever leaves memory is a gap."""
    asyncio.run(played(seconds))


async def played(seconds: list[int]) -> None:
    live = Live(Began("r1", "s1", "ann", 0, b"k" * 32, False, "s1"), 3_600, Counters())
    live.tell(Init(1, b"init", b"", "avc1.64001f", 640, 360))
    at = 0
    gaps: set[int] = set()
    for msn, length in enumerate(seconds):
        for index in range(length * 3):
            start = at + index * HZ // 3
            live.tell(Part(msn, index, start, HZ // 3, index == 0, 1, False, 0, False, b"part"))
        live.tell(SegmentEnded(msn, at, length * HZ))
        at += length * HZ
        new = {one.msn for one in live.window.segments if one.gap} - gaps
        assert not new & skipped(live)
        gaps |= new
    assert gaps


async def test_init_segments_that_no_segment_needs_are_forgotten() -> None:
    """However often an encoder changes its settings."""
    live = Live(Began("r1", "s1", "ann", 0, b"k" * 32, False, "s1"), 0, Counters())
    for msn in range(100):
        live.tell(Init(msn + 1, b"init", b"", "avc1.64001f", 640, 360))
        live.tell(Part(msn, 0, msn * 2 * HZ, 2 * HZ, True, msn + 1, True, msn, False, b"part"))
        live.tell(SegmentEnded(msn, msn * 2 * HZ, 2 * HZ))
    assert set(live.inits) == {segment.init for segment in live.window.segments}
    assert len(live.inits) < 20
