"""Percentiles by nearest rank, and the disk's own time."""

from pathlib import Path

import pytest

from loadtest.disk import fsync_seconds
from loadtest.figures import Spread


def test_percentiles_are_values_that_occurred() -> None:
    spread = Spread.of([i / 1_000 for i in range(100, 0, -1)])
    assert (spread.count, spread.p50, spread.p90, spread.p99, spread.most) == pytest.approx((100, 50, 90, 99, 100))


def test_one_time_is_all_percentiles() -> None:
    assert Spread.of([0.25]) == Spread(1, 250, 250, 250, 250)


def test_nothing_cannot_be_ordered() -> None:
    with pytest.raises(ValueError, match="no times"):
        Spread.of([])


def test_the_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    assert len(fsync_seconds(tmp_path, times=3)) == 3
    assert list(tmp_path.iterdir()) == []
