"""Redis gone under three nodes: they say so, messages cross by way of the log, and all is as before when it is back."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from realtime.client import Client, MessageCreated
from tests.faults.kill import ROOM, make_room
from tests.support.cluster import Cluster
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, token

SECONDS = 60


@pytest.fixture
def cluster(tmp_path: Path, postgres: PostgresServer) -> Iterator[Cluster]:
    with Cluster(tmp_path, postgres, NO_LIMITS) as cluster:
        yield cluster


async def until(url: str, path: str, true: Callable[[httpx.Response], bool]) -> None:
    async with httpx.AsyncClient(timeout=SECONDS) as client, asyncio.timeout(SECONDS):
        while True:
            answer = await client.get(url + path)
            assert answer.status_code == 200
            if true(answer):
                return
            await asyncio.sleep(0.05)


async def all_say(cluster: Cluster, degraded: bool) -> None:
    """In `/readyz` and in the metrics."""
    body: dict[str, Any] = {"status": "degraded", "degraded": ["broker"]} if degraded else {"status": "ready"}
    line = f"galaxy_degraded {float(degraded)}"
    for node in cluster.nodes:
        await until(node.url, "/readyz", lambda answer: answer.json() == body)
        await until(node.url, "/metrics", lambda answer: line in answer.text.splitlines())


async def test_messages_cross_without_redis(cluster: Cluster) -> None:
    first, _, last = cluster.nodes
    await make_room(cluster.url)
    async with (
        Client(first.url, token=token("ann")) as ann,
        Client(last.url, token=token("bob")) as bob,
        bob.room(ROOM) as heard,
    ):
        texts = (
            event.message.text async for event in heard.events() if isinstance(event, MessageCreated) and event.message
        )

        async def crosses(text: str) -> None:
            await ann.command("message.send", room=ROOM, text=text)
            async with asyncio.timeout(SECONDS):
                assert await anext(texts) == text

        await all_say(cluster, degraded=False)
        await crosses("with it")
        cluster.redis.kill()
        await all_say(cluster, degraded=True)
        for number in range(3):
            await crosses(f"without it {number}")
        await asyncio.to_thread(cluster.redis.start)
        await all_say(cluster, degraded=False)
        await crosses("with it again")
