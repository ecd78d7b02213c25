import pytest

from loadtest.bench.plan import EACH, PEERS, ROOMS, usual
from loadtest.bench.results import Comparison, Configuration
from loadtest.bench.targets import TARGETS, Verdict, verdicts
from tests.loadtest.bench.made import comparison

MANY = Configuration(each=EACH, subscribers=ROOMS, window=256)


def verdict_on(peer: str, found: list[Comparison], window: int = 1) -> Verdict:
    (verdict,) = [
        one for one in verdicts(found) if one.target.peer == peer and one.target.configuration.window == window
    ]
    return verdict


@pytest.mark.parametrize(("rate", "met"), [(1.30, True), (1.305, True), (1.295, False), (1.0, False)])
def test_met_when_the_lower_end_reaches_95_percent_of_the_target(rate: float, met: bool) -> None:
    verdict = verdict_on("nats", [comparison("nats", rate * 1e5, 1e5)])
    assert verdict.found is not None
    assert verdict.found.low < rate < verdict.found.high
    assert verdict.met is met
    assert verdict.found.low == pytest.approx(0.9515 * rate, abs=0.001)


def test_only_its_own_configuration_counts() -> None:
    found = [
        comparison("nats", 9e5, 1e5, Configuration(window=16)),
        comparison("nats", 9e5, 1e5, Configuration(codec="msgpack")),
        comparison("nats", 9e5, 1e5, Configuration(subscribers=100)),
    ]
    assert verdict_on("nats", found).found is None
    assert not verdict_on("nats", found).met
    assert verdict_on("nats", found, 16).met


def test_among_many_rooms_the_best_peer_counts() -> None:
    found = [
        comparison("ws", 1e5, 5e4, MANY),
        comparison("nats", 1e5, 2e5, MANY),
        comparison("uwebsockets", 1e5, 9e4, MANY),
    ]
    verdict = verdicts(found)[-1]
    assert verdict.peer == "nats"
    assert verdict.found is not None
    assert verdict.found.mean == pytest.approx(0.5)
    assert not verdict.met


def test_the_usual_plan_measures_every_target_in_full() -> None:
    rows = usual(PEERS, 15, 1.0).rows
    for target in TARGETS:
        found = [row for row in rows if row.configuration == target.configuration]
        assert {row.peer for row in found} >= ({target.peer} if target.peer else set(PEERS) - {"floor"})
        assert all((row.pairs, row.seconds) == (15, 1.0) for row in found)


def test_the_usual_plan_measures_nothing_twice() -> None:
    rows = [(row.configuration, row.peer) for row in usual(PEERS, 15, 1.0).rows]
    assert len(rows) == len(set(rows))
