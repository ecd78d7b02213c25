"""Latencies by the million: counted in dictionaries, told as histograms."""

import pytest

from loadtest import histograms
from loadtest.codec import JSON
from loadtest.feed import Feed, Place
from loadtest.latency import CLOCK_SHIFT, Deliveries, Latencies
from loadtest.stream import RoomStream, due_in
from loadtest.texts import say, texts
from realtime.gateway.frames import text_frame

MS = 1_000_000
TICK = (1 << CLOCK_SHIFT) / 1_000
"""A unit of the deliveries' clock in microseconds."""


def test_each_is_counted_once_and_then_told() -> None:
    latencies = Latencies()
    for ms in (1, 2, 2, 400):
        latencies.add(ms * MS)
    histogram = histograms.unpack(latencies.pack() or "")
    assert histogram.total_count == 4
    assert histograms.milliseconds(histogram, [50, 100]) == [2.0, 400.127]
    assert latencies.pack() is None


def test_nothing_lies_outside_of_the_histogram() -> None:
    latencies = Latencies()
    latencies.add(-5)
    latencies.add(5 * 3_600 * 1_000 * MS)
    assert histograms.unpack(latencies.pack() or "").total_count == 2


def test_a_fan_out_counts_every_delivery_of_every_message_from_its_own_moment() -> None:
    deliveries = Deliveries()
    deliveries.timing = True
    deliveries.add(events=2, skipped=1, dues=[1_000, 1_010], now=1_100, connections=500)
    events, skipped, packed = deliveries.take()
    histogram = histograms.unpack(packed or "")
    assert (events, skipped, histogram.total_count) == (1_000, 500, 1_000)
    assert histograms.milliseconds(histogram, [50, 100]) == pytest.approx([90 * TICK / 1e3, 100 * TICK / 1e3], rel=0.01)
    assert deliveries.take() == (0, 0, None)


def test_what_is_not_to_be_timed_is_counted_all_the_same() -> None:
    deliveries = Deliveries()
    deliveries.add(1, 0, [5], 10, 3)
    deliveries.timing = True
    deliveries.add(1, 0, [], 10, 3)
    deliveries.add(1, 0, [5], 0, 3)
    assert deliveries.take() == (9, 0, None)


def test_a_message_says_when_it_was_due() -> None:
    due = 123_456_789_000
    text = say(due, 7, texts(30)[7])
    assert due_in(text) == due >> CLOCK_SHIFT
    assert due_in(say(0, 7, "x")) == 0
    assert [due_in(other) for other in ("", "hello there", "bad")] == [0, 0, 0]


def test_whoever_receives_it_and_in_whatever_pieces_a_delivery_is_counted_once() -> None:
    deliveries = Deliveries()
    deliveries.timing = True
    stream = RoomStream("r", 0, JSON, False, lambda kind, text: None, deliveries)
    frames = b"".join(
        text_frame(
            JSON.encode(
                {"type": "message.created", "room": "r", "pos": pos, "message": {"text": say(1 << 20, pos, "x")}}
            )
        )
        for pos in range(1, 11)
    )
    for size in (len(frames), len(frames), 1, 7, 100):
        feed = Feed(JSON)
        feed.places["r"] = Place(stream, 0, "u")
        for start in range(0, len(frames), size):
            feed.take(frames[start : start + size], lambda opcode, payload, seen: None)
    stream.count()
    events, skipped, packed = deliveries.take()
    assert (events, skipped, histograms.unpack(packed or "").total_count) == (50, 0, 50)
