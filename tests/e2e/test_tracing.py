"""One command is one trace, from the node that it came to into the node where others listen."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from realtime.client import Client
from tests.support.otlp import Collector, Span
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated
from tests.support.redis import RedisServer
from tests.support.server import NO_LIMITS, ServerProcess, token

CALLER = "0af7651916cd43dd8448eb211c80319c"
"""The trace of who has sent the request."""
PARENT = "b7ad6b7169203331"
TEXT = "what nobody else need know"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def nodes(tmp_path: Path, postgres: PostgresServer, collector: Collector) -> Iterator[list[ServerProcess]]:
    """Two, which trace what they are asked to and nothing else."""
    with RedisServer() as redis:
        settings = NO_LIMITS | {
            "GALAXY_STORE__URL": postgres.url(migrated(postgres)),
            "GALAXY_BROKER__URL": redis.url,
            "GALAXY_TRACING__URL": collector.url,
            "GALAXY_TRACING__SAMPLE": "0",
            "GALAXY_TRACING__SERVICE": "chat",
        }
        with (
            ServerProcess(tmp_path / "one", settings) as one,
            ServerProcess(tmp_path / "two", settings) as two,
        ):
            yield [one, two]


async def test_a_command_is_one_trace_through_both_nodes(nodes: list[ServerProcess], collector: Collector) -> None:
    one, two = nodes
    async with (
        Client(one.url, token=token("ann", name="Ann")) as ann,
        Client(two.url, token=token("bob", name="Bob")) as bob,
        httpx.AsyncClient(base_url=one.url, headers={"Authorization": f"Bearer {token('ann', name='Ann')}"}) as http,
    ):
        created = await ann.command("room.create", kind="group", visibility="public", title="Room")
        room = created["room"]["id"]
        async with ann.room(room), bob.room(room) as heard:
            command = {"type": "message.send", "room": room, "text": TEXT}
            sent = await http.post("/v1/commands", json=command, headers={"traceparent": f"00-{CALLER}-{PARENT}-01"})
            assert sent.status_code == 200
            async for event in heard.events():
                if event.type == "message.created":
                    break
            unsampled = {"traceparent": f"00-{CALLER[::-1]}-{PARENT}-00"}
            assert (await http.post("/v1/commands", json=command, headers=unsampled)).status_code == 200
            await asyncio.to_thread(collector.until, lambda: len(collector.named("deliver")) == 2)
    assert [node.signal(signal.SIGTERM) for node in nodes] == [0, 0]

    assert {span.trace for span in collector.spans} == {CALLER}
    assert {span.service for span in collector.spans} == {"chat"}
    (root,) = collector.named("message.send")
    (received,) = collector.named("receive room:{room}")
    (publish,) = collector.named("publish room:{room}")
    assert (root.kind, root.parent, root.failed) == ("SERVER", PARENT, False)
    assert root.attributes == {
        "galaxy.command.type": "message.send",
        "galaxy.room": room,
        "galaxy.codec": "JSON",
        "galaxy.code": "ok",
    }
    assert (publish.kind, received.kind) == ("PRODUCER", "CONSUMER")
    assert received.parent == publish.id
    assert received.node != root.node
    here = sorted((span for span in collector.spans if span.parent == root.id), key=lambda span: span.begin)
    assert [span.name for span in here] == ["inbox", "decide", "commit", "reply", "publish room:{room}", "deliver"]
    there = sorted((span for span in collector.spans if span.parent == received.id), key=lambda span: span.begin)
    assert [span.name for span in there] == ["apply", "deliver"]
    assert {span.node for span in [root, *here]} == {root.node}
    assert {span.node for span in there} == {received.node}
    assert len(collector.spans) == len([root, *here, received, *there])

    in_turn([root, *here])
    in_turn([publish, received, *there])
    assert here[2].attributes == {"galaxy.commands": 1}
    assert [span.attributes for span in (here[-1], there[-1])] == [{"galaxy.listeners": 1}] * 2
    assert publish.attributes["messaging.destination.name"] == f"room:{room}"
    assert publish.attributes["messaging.system"] == received.attributes["messaging.system"] == "redis"
    assert TEXT not in str(collector.spans)


def in_turn(spans: list[Span]) -> None:
    """None begins before the one before it, or ends before it begins."""
    assert [span.begin for span in spans] == sorted(span.begin for span in spans)
    assert all(span.begin <= span.end for span in spans)
