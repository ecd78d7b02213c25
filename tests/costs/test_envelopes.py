"""The measurement itself: everything crosses, and is counted where it does."""

from tests.costs.envelopes import Turn, measure


def test_messages_that_cross_are_counted() -> None:
    alone, two = measure((None, 1), rooms=2, listeners=1, window=4, bursts=10, turns=1, marks=False)
    (turn,) = alone.turns
    assert turn.envelopes == turn.receiver == 0
    (turn,) = two.turns
    _crossed(turn)


def test_read_marks_that_cross_are_counted() -> None:
    (two,) = measure((1,), rooms=2, listeners=1, window=4, bursts=10, turns=1, marks=True)
    (turn,) = two.turns
    assert 0 < turn.envelopes < 1  # those of a second share one
    assert turn.redis > 0
    assert turn.redis_sent > 0


def _crossed(turn: Turn) -> None:
    assert 0 < turn.envelopes <= 2  # beacons and signs of life among them
    assert turn.redis > 0
    assert turn.redis_sent > turn.redis_received > 50
