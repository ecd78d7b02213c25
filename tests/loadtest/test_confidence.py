import math
import random

import pytest

from loadtest.confidence import ratio, t_quantile

# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values of Student's t, 0.975
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 9: 2.262, 10: 2.228, 19: 2.093, 30: 2.042}


@pytest.mark.parametrize(("degrees", "expected"), TABLE.items())
def test_quantile_is_the_tables(degrees: int, expected: float) -> None:
    assert t_quantile(degrees) == pytest.approx(expected, abs=0.0005)


def test_quantile_of_another_level() -> None:
    assert t_quantile(5, 0.99) == pytest.approx(4.032, abs=0.0005)


def test_ratio_is_the_geometric_mean_and_the_interval_students() -> None:
    found = ratio([2.0, 8.0], [1.0, 1.0])
    reach = 12.7062047 * (math.log(8 / 2) / math.sqrt(2)) / math.sqrt(2)
    assert found.mean == pytest.approx(4)
    assert found.low == pytest.approx(4 / math.exp(reach), rel=1e-6)
    assert found.high == pytest.approx(4 * math.exp(reach), rel=1e-6)
    assert found.pairs == 2


def test_pairs_that_agree_leave_no_doubt() -> None:
    found = ratio([3.0, 6.0, 9.0], [1.0, 2.0, 3.0])
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3, 3))


def test_turned_around_it_is_the_inverse() -> None:
    ours, theirs = [3.0, 2.5, 4.0, 3.3], [1.0, 1.2, 1.1, 0.9]
    there, back = ratio(ours, theirs), ratio(theirs, ours)
    assert (1 / back.mean, 1 / back.high, 1 / back.low) == pytest.approx((there.mean, there.low, there.high))


def test_covers_the_truth_as_often_as_it_says() -> None:
    chance = random.Random(1)
    rounds = 2_000
    covered = 0
    for _ in range(rounds):
        ours = [1.5 * chance.lognormvariate(0, 0.2) for _ in range(5)]
        found = ratio(ours, [chance.lognormvariate(0, 0.1) for _ in range(5)])
        covered += found.low <= 1.5 <= found.high
    assert 0.935 < covered / rounds < 0.965


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ([], [], "at least 2 pairs, not 0"),
        ([1.0], [1.0], "at least 2 pairs, not 1"),
        ([1.0, 2.0], [1.0], "ours has 2 measurements and theirs 1"),
        ([1.0, 0.0], [1.0, 1.0], r"ours\[1\] is 0.0"),
        ([1.0, 1.0], [math.nan, 1.0], r"theirs\[0\] is nan"),
        ([1.0, math.inf], [1.0, 1.0], r"ours\[1\] is inf"),
    ],
)
def test_refuses_what_has_no_interval(ours: list[float], theirs: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ratio(ours, theirs)


def test_reads_as_a_sentence() -> None:
    assert str(ratio([2.0, 2.0], [1.0, 1.0])) == "2.00 (2.00 to 2.00, 2 pairs)"
