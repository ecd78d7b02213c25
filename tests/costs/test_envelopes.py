"""The measurement itself: everything crosses, and is counted where it does."""

import pytest

from tests.costs import envelopes


@pytest.mark.parametrize("marks", [False, True], ids=["messages", "read marks"])
def test_what_crosses_is_counted(marks: bool) -> None:
    alone, two = envelopes.measure((None, 1), rooms=2, listeners=1, window=4, bursts=10, turns=1, marks=marks)
    (turn,) = alone.turns
    assert turn.envelopes == turn.receiver == 0
    (turn,) = two.turns
    assert 0 < turn.envelopes <= 2  # beacons and signs of life among them
    assert turn.redis > 0
    assert turn.redis_sent > turn.redis_received > 50
