"""Live playlists are held against the RFC, whatever a stream is like."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from relay.hls.media import live_playlist
from relay.hls.names import Names
from relay.hls.window import Window
from relay.parts_values import LONGEST_PART, LONGEST_SEGMENT, SHORTEST_PART, Part, SegmentEnded
from tests.relay.hls.validator import alone, between, merged, read

NAMES = Names(b"k" * 32)


@st.composite
def streams(draw: st.DrawFn) -> list[Part | SegmentEnded]:
    """What a cutter may say, from a segment's first part on."""
    told: list[Part | SegmentEnded] = []
    start, init, discontinuities = 0, 1, 0
    first = draw(st.integers(0, 1_000))
    for msn in range(first, first + draw(st.integers(1, 24))):
        begun, discontinuity = start, draw(st.integers(0, 7)) == 0
        discontinuities += discontinuity
        init += discontinuity and draw(st.booleans())
        count = draw(st.integers(1, LONGEST_SEGMENT // LONGEST_PART))
        for index in range(count):
            shortest = 1 if index == count - 1 else SHORTEST_PART
            duration = draw(st.integers(shortest, LONGEST_PART))
            independent = index == 0 or draw(st.booleans())
            told.append(
                Part(msn, index, start, duration, independent, init, discontinuity, discontinuities, False, b"")
            )
            start += duration
        told.append(SegmentEnded(msn, begun, start - begun))
    return told


def windows(told: list[Part | SegmentEnded]) -> Iterator[Window]:
    """One window, after each of what is told, and after the end."""
    window = Window(24)
    for one in told:
        assert window.part(one) if isinstance(one, Part) else window.end(one)
        yield window
    window.finish()
    yield window


@given(streams(), st.booleans())
def test_every_playlist_keeps_the_rules_and_follows_from_the_one_before(
    told: list[Part | SegmentEnded], audio: bool
) -> None:
    before = None
    for window in windows(told):
        now = read(live_playlist(window, NAMES, 0, audio=audio, others=["audio.m3u8"]))
        assert alone(now) == []
        assert before is None or between(before, now) == []
        before = now


@given(streams())
def test_a_delta_update_gives_what_the_whole_playlist_does(told: list[Part | SegmentEnded]) -> None:
    before = None
    for window in windows(told):
        whole = read(live_playlist(window, NAMES, 0))
        delta = read(live_playlist(window, NAMES, 0, skip=True))
        assert alone(delta) == []
        if before is not None:
            has = [(one.msn, one.uri, one.map, one.duration, one.discontinuity) for one in merged(before, delta)]
            assert has == [(one.msn, one.uri, one.map, one.duration, one.discontinuity) for one in whole.segments]
        before = whole
