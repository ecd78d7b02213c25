"""The instruments that hot paths touch."""

from prometheus_client import generate_latest

from realtime.metrics import LATENCIES, Metrics


def _shown(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_each_process_part_has_a_registry_of_its_own() -> None:
    one, other = Metrics(), Metrics()
    one.command("ping", "ok")
    assert 'galaxy_commands_total{code="ok",type="ping"} 1.0' in _shown(one)
    assert "ping" not in _shown(other)


def test_commits_and_flushes_fall_into_buckets() -> None:
    metrics = Metrics()
    metrics.committed(0.0009, 3)
    metrics.flushed(10.0)
    shown = _shown(metrics)
    assert 'galaxy_commit_seconds_bucket{le="0.001"} 1.0' in shown
    assert "galaxy_events_logged_total 3.0" in shown
    assert f'galaxy_fanout_seconds_bucket{{le="{LATENCIES[-1]}"}} 0.0' in shown
    assert 'galaxy_fanout_seconds_bucket{le="+Inf"} 1.0' in shown


def test_close_codes_that_peers_invent_are_counted_together() -> None:
    metrics = Metrics()
    for code in (3008, 4321, 4322):
        metrics.closed(code)
    shown = _shown(metrics)
    assert 'galaxy_websocket_closed_total{code="3008"} 1.0' in shown
    assert 'galaxy_websocket_closed_total{code="other"} 2.0' in shown
    assert "4321" not in shown
