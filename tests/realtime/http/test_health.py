"""For supervisors, load balancers and Prometheus."""

import re

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from tests.realtime.http.support import House, bearer, streaming


async def test_alive_and_ready(house: House) -> None:
    assert (await house.client.get("/healthz")).json() == {"status": "ok"}
    assert (await house.client.get("/readyz")).json() == {"status": "ready"}
    house.unready = "draining"
    draining = await house.client.get("/readyz")
    assert (draining.status_code, draining.json()) == (503, {"status": "unready", "reason": "draining"})
    assert (await house.client.get("/healthz")).status_code == 200


async def test_metrics_tell_what_has_happened(house: House) -> None:
    room = await house.room("ann")
    async with streaming(house, room, "ann") as stream:
        await stream.next()
        await house.did("ann", "message.send", room=room, text="a secret")
        await stream.named("message.created")
        house.edge.refused["head_timeout"] += 1
        shown = (await house.client.get("/metrics")).text
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    }
    assert samples["galaxy_connections", "sse"] == 1
    assert samples["galaxy_connections", "websocket"] == 0
    assert samples["galaxy_users_online",] == 1
    assert samples["galaxy_rooms_loaded",] == 1
    assert samples["galaxy_rooms_listened",] == 1
    assert samples["galaxy_commands_total", "message.send", "ok"] == 1
    assert samples["galaxy_commands_total", "ok", "room.join"] == 1
    assert samples["galaxy_events_logged_total",] == 2
    assert samples["galaxy_commit_seconds_count",] == 2
    assert samples["galaxy_fanout_seconds_count",] >= 1
    assert samples["galaxy_deliveries_total",] >= 1
    assert samples["galaxy_delivered_bytes_total",] > 100
    assert samples["galaxy_queue_depth", "inboxes"] == 0
    assert samples["galaxy_queue_depth", "store"] == 0
    assert samples["galaxy_outbox_lag_seconds",] == 1.5
    assert samples["galaxy_http_refused_total", "head_timeout"] == 1
    for private in ("secret", "ann", room):
        assert private not in shown


async def test_openmetrics_where_asked_for(house: House) -> None:
    answer = await house.client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


async def test_clients_make_no_labels(house: House) -> None:
    """What clients invent must not make a series each."""
    for n in range(30):
        body = msgspec.json.encode({"type": f"t{n}"})
        await house.client.post("/v1/commands", content=body, headers=bearer(f"u{n}"))
    shown = (await house.client.get("/metrics")).text
    assert len(re.findall("galaxy_commands_total{", shown)) == 1
