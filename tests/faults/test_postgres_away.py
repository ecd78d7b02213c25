"""PostgreSQL killed, or stalled, under one server or three: senders hear `unavailable`, and all goes on afterwards."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.client import Client, CommandError
from tests.faults.kill import ROOM, make_room, whole_log
from tests.faults.test_store_away import say, until_taken
from tests.support.cluster import Cluster
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated
from tests.support.server import NO_LIMITS, ServerProcess, token


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    with PostgresServer() as it:
        yield it


@pytest.fixture(params=["one node", "three nodes"])
def server(request: pytest.FixtureRequest, database: PostgresServer, tmp_path: Path) -> ServerProcess | Cluster:
    settings = NO_LIMITS | {"GALAXY_STORE__TIMEOUT_MS": "2000"}
    if request.param == "three nodes":
        return Cluster(tmp_path, database, settings)
    return ServerProcess(tmp_path, settings | {"GALAXY_STORE__URL": database.url(migrated(database))})


@pytest.mark.parametrize("cause", ["killed", "stalled"])
async def test_unavailable_and_back(
    database: PostgresServer, server: ServerProcess | Cluster, tmp_path: Path, cause: str
) -> None:
    with server:
        await make_room(server.url)
        async with (
            Client(server.url, token=token("ann")) as ann,
            Client(server.url, token=token("bob")) as bob,
            bob.room(ROOM) as heard,
        ):
            first = await until_taken(ann, "before")
            if cause == "killed":
                await asyncio.to_thread(database.kill)
            else:
                database.stall()
            try:
                with pytest.raises(CommandError) as refused:
                    await say(ann, "meanwhile")
                assert (refused.value.code, refused.value.retry) == ("unavailable", True)
                assert refused.value.retry_after_ms is not None
            finally:
                if cause == "killed":
                    await asyncio.to_thread(database.start)
                else:
                    database.resume()
            async with asyncio.timeout(60):
                again = await until_taken(ann, "meanwhile")
                after = await until_taken(ann, "after")
            # What was sent when the server fell silent may have been carried out: once, and told as such.
            log = await whole_log(bob, after)
            assert list(log) == list(range(1, after + 1))
            assert [text for text in log.values() if text] == ["before", "meanwhile", "after"]
            assert log[again] == "meanwhile"
            positions = []
            async for event in heard.events():
                positions += [event.pos] if event.pos is not None else []
                if event.pos == after:
                    break
            assert positions == list(range(first, after + 1))
    assert not list(tmp_path.rglob("galaxy.db"))  # noqa: ASYNC240 - nothing else runs any more
