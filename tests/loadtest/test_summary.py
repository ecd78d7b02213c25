import pytest

from loadtest.results import Second
from loadtest.summary import Said, Summary
from tests.loadtest.runs import packed, run


def of(*seconds: Second) -> Summary:
    return Summary.of(run(0, seconds=list(seconds)))


def test_rates_are_means_of_the_seconds_under_load() -> None:
    found = of(
        Second(at=0, connections=1, delivered=5),
        Second(at=1, connections=5, sent=10, acknowledged=8, delivered=40),
        Second(at=2, connections=7),
        Second(at=3, connections=7, sent=20, acknowledged=22, delivered=170, skipped=3),
        Second(at=4, connections=7, delivered=1),
    )
    assert (found.seconds, found.connections) == (5, 7)
    assert (found.acknowledged_rate, found.delivered_rate) == (10, 70)
    assert (found.sent, found.delivered, found.delivered_most) == (30, 216, 170)


def test_where_nothing_is_sent_the_load_is_what_is_received() -> None:
    found = of(Second(at=0), Second(at=1, delivered=50), Second(at=2, delivered=70), Second(at=3))
    assert found.delivered_rate == 60


def test_latencies_are_of_all_seconds_together_in_milliseconds() -> None:
    found = of(
        Second(at=0, latencies={"delivery": packed([1_000] * 50)}),
        Second(at=1, latencies={"delivery": packed([2_000] * 45 + [4_000] * 5), "recovery": packed([])}),
    )
    (delivery,) = found.latencies
    assert (delivery.name, delivery.count) == ("delivery", 100)
    assert (delivery.p50, delivery.p90, delivery.p99, delivery.p999, delivery.most) == pytest.approx(
        (1, 2, 4, 4, 4), rel=1e-3
    )


def test_processor_time_per_delivery_is_of_the_seconds_under_load_in_which_it_was_seen() -> None:
    found = of(
        Second(at=0, server={"cpu": 0.7, "own_cpu": 0.2}),
        Second(at=1, delivered=1_000, server={"cpu": 0.5, "own_cpu": 0.4, "rss_bytes": 100}),
        Second(at=2, delivered=1_000, server={"cpu": 1.5, "rss_bytes": 90}),
        Second(at=3, delivered=8_000),
        Second(at=4, server={"cpu": 0.9}),
    ).server
    assert (found.cpu, found.cpu_most, found.load_cpu, found.rss_most) == pytest.approx((0.9, 1.5, 0.3, 100))
    assert found.cpu_per_delivery == pytest.approx(1_000)


def test_what_else_the_server_says_is_kept_but_for_what_was_always_nothing() -> None:
    found = of(
        Second(at=0, server={"queue.inbox": 9, "own_cpu": 1, "lagging": 2, "aborted": 0}),
        Second(at=1, server={"queue.inbox": 9, "own_cpu": 1, "lagging": 5, "aborted": 0}),
    ).server
    assert found.said == [Said("lagging", 3.5, 5)]


def test_a_run_without_seconds_has_nothing() -> None:
    found = of()
    assert (found.seconds, found.delivered_rate, found.latencies) == (0, 0, [])
    assert (found.server.cpu, found.server.cpu_per_delivery, found.server.rss_most) == (None, None, None)


def test_without_deliveries_none_has_a_price() -> None:
    assert of(Second(at=0, server={"cpu": 0.1})).server.cpu_per_delivery is None
