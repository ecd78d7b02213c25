"""Redis killed, or stalled, under two nodes: what is said at one still comes to who only listens at the other."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from realtime.client import Client
from tests.faults.kill import ROOM, make_room
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import NO_LIMITS, ServerProcess, token


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as it:
        yield it


async def until_ready(node: ServerProcess, status: str) -> None:
    """Waits until `/readyz` says so; it is 200 all the time."""
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        while True:
            answer = await client.get(f"{node.url}/readyz")
            assert answer.status_code == 200
            if answer.json()["status"] == status:
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("cause", ["killed", "stalled"])
async def test_messages_cross_by_the_log_meanwhile(
    postgres: PostgresServer, redis: RedisServer, tmp_path: Path, cause: str
) -> None:
    settings = {"GALAXY_STORE__URL": postgres.url(postgres.new_database()), "GALAXY_BROKER__URL": redis.url}
    with ExitStack() as stack:
        here, there = (stack.enter_context(ServerProcess(tmp_path / n, NO_LIMITS | settings)) for n in ("a", "b"))
        await make_room(here.url)
        async with (
            Client(here.url, token=token("ann")) as ann,
            Client(there.url, token=token("bob")) as bob,
            ann.room(ROOM) as says,
            bob.room(ROOM) as hears,
        ):
            heard = hears.events()

            async def cross(text: str) -> None:
                pos = (await says.send(text)).pos
                async with asyncio.timeout(30):
                    async for event in heard:
                        if event.pos == pos:
                            return

            for node in (here, there):
                await until_ready(node, "ready")
            await cross("before")
            if cause == "killed":
                redis.kill()
            else:
                redis.stall()
            for node in (here, there):
                await until_ready(node, "degraded")
            for number in range(3):
                await cross(f"meanwhile {number}")
            if cause == "killed":
                redis.start()
            else:
                redis.resume()
            for node in (here, there):
                await until_ready(node, "ready")
            await cross("after")
