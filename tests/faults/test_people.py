"""What nodes share about people, through real processes on PostgreSQL and Redis; and one of them is killed."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.peer import Peer, connected, greeted
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated
from tests.support.redis import RedisServer
from tests.support.server import ServerProcess, token

WAIT = 30.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as it:
        yield it


@pytest.fixture
def nodes(tmp_path: Path, postgres: PostgresServer, redis: RedisServer) -> Iterator[list[ServerProcess]]:
    settings = {
        "GALAXY_STORE__URL": postgres.url(migrated(postgres)),
        "GALAXY_BROKER__URL": redis.url,
        "GALAXY_LIMITS__CONNECTIONS_PER_USER": "2",
    }
    with ExitStack() as stack:
        started = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            started.append(stack.enter_context(ServerProcess(tmp_path / name, settings)))
        yield started


async def until_present(peer: Peer, room: str, online: int) -> None:
    async with asyncio.timeout(WAIT):
        while (await peer.ok("presence.get", room=room))["online"] != online:  # noqa: ASYNC110 - asked of the server
            await asyncio.sleep(0.05)


async def until_counts(peer: Peer, room: str, **like: Any) -> None:
    """Until an event `user.changed` says so of the room."""
    async with asyncio.timeout(WAIT):
        while True:
            rows = (await peer.event("user.changed"))["rooms"]
            if any(row["room"] == room and like.items() <= row.items() for row in rows):
                return


async def test_people_of_two_nodes_know_of_each_other(nodes: list[ServerProcess], redis: RedisServer) -> None:
    a, b = nodes
    async with AsyncExitStack() as stack:

        async def enter(node: ServerProcess, user: str) -> Peer:
            return await stack.enter_async_context(greeted(node.url, token(user, name=user.title())))

        ann, bob = await enter(a, "ann"), await enter(b, "bob")
        room = (await ann.ok("room.create", kind="group", title="G", visibility="public"))["room"]["id"]
        await bob.ok("member.join", room=room)
        await ann.ok("room.join", room=room)
        await ann.event("presence", online=1)
        await bob.ok("room.join", room=room)
        await until_present(bob, room, 2)
        present = await ann.event("presence", online=2)
        assert present["joined"] == [{"id": "bob", "name": "Bob"}]

        # Of one user on two nodes, and one connection too many.
        desk = await enter(a, "bob")
        async with connected(b.url, token("bob")) as third:
            assert (await third.closed())[0] == 3504
        pos = (await ann.ok("message.send", room=room, text="hello @bob"))["pos"]
        await bob.event("mention", room=room, pos=pos)
        await until_counts(desk, room, unread=1)
        await bob.ok("read.mark", room=room, pos=pos)
        await until_counts(desk, room, unread=0, read_pos=pos)

        # While Redis is away everybody is let in; whoever logs out meanwhile is sent away when it is back.
        redis.kill()
        async with greeted(b.url, token("bob")):
            pass
        await desk.ok("user.logout")
        assert (await desk.closed())[0] == 3500
        redis.start()
        assert (await bob.closed())[0] == 3500

        await until_present(ann, room, 1)

        # Those of a node that is killed are gone within seconds.
        cem = await enter(b, "cem")
        await cem.ok("room.join", room=room)
        await ann.event("presence", joined=[{"id": "cem", "name": "Cem"}])
        ann.inbox.clear()
        b.kill()
        left = await ann.event("presence", online=1)
        assert left["left"] == [{"id": "cem", "name": "Cem"}]
        assert (await ann.ok("presence.get", room=room))["online"] == 1
