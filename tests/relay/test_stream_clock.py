"""The stream's clock: nothing goes back, gaps are real, tracks keep their distance, whatever publishers send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.stream_clock import ALIKE, APART, JUMP_AHEAD, StreamClock
from relay.units import HZ, Kind

FRAME = HZ // 30
AUDIO = 1_920


def steady(clock: StreamClock, start: int, seconds: float, begin: int, shift: int = 0) -> dict[Kind, list[int]]:
    """Both tracks, in order of arrival, as one live encoder sends them; the publisher's clock begins at `begin`."""
    placed: dict[Kind, list[int]] = {"video": [], "audio": []}
    units: list[tuple[int, Kind]] = [(at, "video") for at in range(0, round(seconds * HZ), FRAME)]
    units += [(at, "audio") for at in range(shift, round(seconds * HZ), AUDIO)]
    for at, kind in sorted(units):
        place = clock.place(kind, begin + at, begin + at, start + at)
        if place is not None:
            placed[kind].append(place.dts)
    return placed


@given(st.integers(-(2**40), 2**40), st.integers(0, HZ))
def test_a_stream_begins_at_0_wherever_its_publishers_clock_stands(begin: int, shift: int) -> None:
    placed = steady(StreamClock(), 0, 2, begin, shift)
    assert placed["video"] == list(range(0, 2 * HZ, FRAME))
    assert placed["audio"] == list(range(shift, 2 * HZ, AUDIO))


@given(st.integers(-(2**40), 2**40), st.integers(0, 60 * HZ))
def test_another_publisher_comes_after_the_real_gap(begin: int, gap: int) -> None:
    clock = StreamClock()
    first = steady(clock, 0, 2, 1_000)
    end = max(first["video"][-1], first["audio"][-1])
    clock.new_publisher()
    second = steady(clock, end + gap, 2, begin)
    assert second["video"][0] == end + max(1, gap)
    assert second["audio"][0] - second["video"][0] in (0, AUDIO)  # one that would go back is left out
    assert clock.mended == 0


@given(st.one_of(st.integers(-(2**40), -2 * HZ), st.integers(JUMP_AHEAD + HZ, 2**40)))
def test_a_jump_of_both_tracks_is_mended_and_they_keep_their_distance(jump: int) -> None:
    clock = StreamClock()
    first = steady(clock, 0, 2, 0)
    second = steady(clock, 2 * HZ, 2, 2 * HZ + jump)
    assert clock.mended in (1, 2)
    assert 0 < second["video"][0] - first["video"][-1] <= FRAME + 1
    distance = (second["audio"][0] - second["video"][0]) % AUDIO
    assert distance in (0, AUDIO - 1, 1, AUDIO)


def test_a_stalled_line_that_delivers_late_is_no_jump() -> None:
    clock = StreamClock()
    steady(clock, 0, 2, 0)
    late = [clock.place("video", at, at, 12 * HZ) for at in range(2 * HZ, 12 * HZ, FRAME)]
    assert [place.dts for place in late if place] == list(range(2 * HZ, 12 * HZ, FRAME))
    assert clock.mended == 0


def test_a_track_that_was_silent_for_long_is_no_jump() -> None:
    clock = StreamClock()
    steady(clock, 0, 2, 0)
    place = clock.place("audio", 62 * HZ, 62 * HZ, 62 * HZ)
    assert place is not None
    assert place.dts == 62 * HZ


unit = st.tuples(
    st.sampled_from(["video", "audio"]),
    st.integers(-(2**33), 2**33) | st.integers(0, 20 * HZ),
    st.integers(-(HZ), 20 * HZ),
    st.integers(0, 5 * HZ),
    st.booleans(),
)


@given(st.lists(unit, max_size=60))
def test_no_track_goes_back_whatever_comes(units: list[tuple[Kind, int, int, int, bool]]) -> None:
    clock = StreamClock()
    now = 0
    last: dict[Kind, int] = {"video": -1, "audio": -1}
    for kind, dts, reorder, passed, another in units:
        now += passed
        if another:
            clock.new_publisher()
        place = clock.place(kind, dts + reorder, dts, now)
        if place is not None:
            assert place.dts > last[kind]
            assert place.dts <= place.pts <= place.dts + 5 * HZ + ALIKE + JUMP_AHEAD
            last[kind] = place.dts


@given(st.integers(0, JUMP_AHEAD - HZ))
def test_a_line_that_stalls_between_two_tracks_puts_no_distance_between_them(stall: int) -> None:
    clock = StreamClock()
    first = clock.place("video", 1_000, 1_000, 0)
    second = clock.place("audio", 1_000 + AUDIO, 1_000 + AUDIO, stall)
    assert first is not None
    assert second is not None
    assert second.dts - first.dts == AUDIO
    assert clock.mended == 0


@pytest.mark.parametrize("leap", [HZ // 2, 9 * HZ])
def test_leaps_that_are_each_small_enough_do_not_carry_the_clock_away(leap: int) -> None:
    clock = StreamClock()
    for index in range(300):
        place = clock.place("video", index * leap, index * leap, index * FRAME)
        assert place is not None
        assert place.dts - index * FRAME <= JUMP_AHEAD + HZ
    assert clock.mended


@pytest.mark.parametrize(
    ("behind", "advice"),
    [
        (APART, ""),
        (APART + AUDIO, "The sound is 4 s behind the picture"),
        (-APART, ""),
        (-6 * HZ, "The sound is 6 s ahead of the picture"),
    ],
)
def test_sound_too_far_from_the_picture_is_left_out_and_told_of(behind: int, advice: str) -> None:
    clock = StreamClock()
    clock.place("video", 0, 0, 0)
    clock.place("audio", 0, 0, 0)
    start = max(0, -behind)
    for at in range(start + AUDIO, start + 10 * HZ, AUDIO):
        now = max(at, at + behind)
        assert clock.place("video", at + behind, at + behind, now)
        assert (clock.place("audio", at, at, now) is None) == bool(advice)
    assert clock.apart == (10 * HZ // AUDIO if advice else 0)
    assert clock.advice.startswith(advice)
    assert bool(clock.advice) == bool(advice)
    late = start + 10 * HZ + max(0, behind)
    clock.place("video", late, late, late)
    assert clock.place("audio", late, late, late)
    assert clock.advice == "", "it has caught up"


def test_sound_without_pictures_is_never_apart_from_them() -> None:
    clock = StreamClock()
    clock.place("video", 0, 0, 0)
    for minute in range(1, 3 * 24 * 60):
        at = minute * 60 * HZ + minute * 60 * HZ // 2_000
        assert clock.place("audio", at, at, minute * 60 * HZ)


def test_a_clock_that_drifts_for_days_is_never_mended() -> None:
    clock = StreamClock()
    for minute in range(3 * 24 * 60):
        place = clock.place("video", at := minute * 60 * HZ + minute * 60 * HZ // 2_000, at, minute * 60 * HZ)
        assert place is not None
        assert place.dts == at
    assert clock.mended == 0
