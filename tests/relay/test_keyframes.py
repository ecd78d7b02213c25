"""When a publisher is asked for a keyframe, what its interval means, what new outputs are given, and health."""

import itertools
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from relay.gop import UNIT_BYTES, GopCache
from relay.health import WINDOW_SECONDS, Meter
from relay.keyframes import SEGMENT_SECONDS, SHORTEST_SECONDS, Keyframes
from relay.ports import Received
from relay.units import HZ, AudioConfig
from tests.relay.stage import FRAME, audio, units, video


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans())), st.booleans())
def test_a_publisher_is_never_asked_more_often_than_every_half_second(
    steps: list[tuple[float, bool, bool]], regular: bool
) -> None:
    keyframes, now, asked = Keyframes(regular=regular), 0.0, float("-inf")
    for passed, wanted, key in steps:
        now += passed
        keyframes.video(round(now * HZ), key, now)
        if keyframes.ask(now, wanted):
            assert wanted or regular
            assert now - asked >= SHORTEST_SECONDS
            asked = now


def test_browsers_are_asked_every_two_seconds_and_encoders_only_when_somebody_waits() -> None:
    browser, encoder = Keyframes(regular=True), Keyframes(regular=False)
    asked: list[int] = []
    for tick in range(100):
        now = tick / 10
        key = not asked or asked[-1] == tick - 1  # it answers at once
        browser.video(tick * 9_000, key, now)
        encoder.video(tick * 9_000, tick == 0, now)
        if browser.ask(now, False):
            asked.append(tick)
        assert not encoder.ask(now, False)
    assert {later - earlier for earlier, later in itertools.pairwise(asked)} <= {20, 21}
    assert encoder.ask(10, True)
    assert SEGMENT_SECONDS == 2


@given(st.floats(0.1, 30))
def test_a_long_interval_is_told_of(seconds: float) -> None:
    keyframes = Keyframes(regular=False)
    for index in range(3):
        keyframes.video(round(index * seconds * HZ), True, index * seconds)
    assert abs(keyframes.interval - seconds * HZ) <= 1
    assert ("low-latency HLS is off" in keyframes.advice) == (keyframes.interval > 10 * HZ)
    assert bool(keyframes.advice) == (keyframes.interval > 4 * HZ)


def test_one_that_sends_no_second_keyframe_is_told_of_too() -> None:
    keyframes = Keyframes(regular=False)
    keyframes.video(0, True, 0)
    keyframes.video(11 * HZ, False, 11)
    assert "low-latency HLS is off" in keyframes.advice


@given(st.lists(st.sampled_from(["key", "picture", "aac", "opus"])), st.integers(100, 2_000))
def test_a_new_output_is_given_a_group_that_begins_with_its_keyframe(kinds: list[str], most: int) -> None:
    cache = GopCache(most)
    opus = AudioConfig("opus", 48_000, 2)
    for at, kind in enumerate(kinds):
        cache.add(
            video(at, key=kind == "key")
            if kind in ("key", "picture")
            else audio(at, opus)
            if kind == "opus"
            else audio(at)
        )
        assert cache.bytes <= most
        codecs: tuple[Literal["aac", "opus"], ...] = ("aac", "opus")
        for codec in codecs:
            given_units = list(cache.units(codec))
            assert [unit.key and unit.kind == "video" for unit in given_units[:1]] in ([], [True])
            assert all(unit.kind == "video" or unit.config.codec == codec for unit in given_units)
            assert sum(unit.key for unit in given_units if unit.kind == "video") <= 1


def test_a_group_that_is_too_long_is_forgotten_until_the_next_keyframe() -> None:
    cache = GopCache(250 + 2 * UNIT_BYTES)
    cache.add(video(0, key=True))
    cache.add(video(1))
    assert len(list(cache.units("aac"))) == 2
    cache.add(video(2))
    assert (list(cache.units("aac")), cache.overflows) == ([], 1)
    cache.add(video(3))
    assert list(cache.units("aac")) == []
    cache.add(video(4, key=True))
    assert len(list(cache.units("aac"))) == 1


def test_units_without_much_in_them_count_too() -> None:
    cache = GopCache(100_000)
    for index in range(1_000):
        cache.add(video(index, key=not index, data=b"v"))
    assert cache.overflows == 1


def test_health_is_that_of_the_last_seconds() -> None:
    meter = Meter(12_000, 0)
    now = 0.0
    for unit in units(20):
        now = unit.dts / HZ
        meter.unit(unit, now)
    received = Received(0, packets_lost=50, packets=950, round_trip_ms=400.0)
    meter.health(Received(0, packets_lost=0, packets=0), 2 * HZ, (), now)
    health = meter.health(received, 2 * HZ, (), now)
    assert 29 <= health.fps <= 31
    assert 30 <= health.kbit <= 35  # 30 × 100 + 46.9 × 20 bytes
    assert (health.width, health.height, health.video, health.audio) == (640, 360, "h264", "aac")
    assert (health.keyframe_ms, health.loss_percent) == (2_000, 5.0)
    assert [any(word in advice for advice in health.advice) for word in ("packets are lost", "there and back")] == [
        True,
        True,
    ]


def test_advice_is_given_on_silence_stillness_and_the_cap() -> None:
    meter = Meter(100, 0)
    for index in range(30):
        meter.unit(video(index * FRAME, key=not index, data=b"v" * 500), index / 30)
    loud = meter.health(Received(0), 0, (), 1)
    assert [text for text in loud.advice if "cuts the stream off" in text]
    assert "There is no sound." in loud.advice
    assert loud.loss_percent is None
    still = meter.health(Received(0), 0, (), 1 + WINDOW_SECONDS + 1)
    assert "No picture comes." in still.advice
    assert (still.kbit, still.fps) == (0, 0)
