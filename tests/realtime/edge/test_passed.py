"""Viewers whose sockets gateways have passed: who is let in, and what they count among."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.edge.passing import Passed, Passer
from realtime.edge.process import EdgeServer, assembled, feed_path, passing_path
from realtime.edge.viewers import NOT_ALLOWED
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay import unix
from relay.feed import Feed
from relay.feed_values import Began
from tests.realtime.edge.test_edge import Everybody, now_ms
from tests.support.server import config

HEAD = (
    b"GET /v1/rooms/r1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Stage:
    """An edge process with a stream in `r1`, and a gateway's way to it."""

    def __init__(self, edge: EdgeServer, passer: Passer):
        self.edge, self.passer = edge, passer

    async def passed(self, user: str, *, local: bool = False) -> "Client":
        """`local`: by a Unix socket, as from a proxy on the same machine."""
        if local:
            ours, theirs = socket.socketpair()
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                ours = socket.create_connection(server.getsockname())
                theirs, _ = server.accept()
        ours.setblocking(False)
        with theirs:
            self.passer.hand_over(theirs, Passed(HEAD, "r1", user, "10.0.0.1"))
        return Client(*await asyncio.open_connection(sock=ours))


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    async def gone(self) -> None:
        """Returns once the other side has closed."""
        await self.reader.read()
        self.writer.close()

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def close_code(self) -> int:
        """Of a frame that has nothing before it."""
        opcode, length = await self.reader.readexactly(2)
        assert opcode == 0x88
        return int.from_bytes((await self.reader.readexactly(length))[:2])


@asynccontextmanager
async def stage(folder: Path, settings: dict[str, str] | None = None) -> AsyncIterator[Stage]:
    chosen = config(folder / "data", {"GALAXY_RELAY__PROCESSES": "1"} | (settings or {}))
    feed = Feed()
    await feed.start(unix.listen(feed_path(chosen, 0)))
    feed.open(Began("r1", "s1", "ann", now_ms(), b"k" * 32, False, "s1"))
    passer = Passer(passing_path(chosen, 0))
    async with (
        asyncio.timeout(30),
        assembled(chosen, 0, now_ms, Everybody()) as edge,
        running(edge.server, bind("127.0.0.1", 0)),
    ):
        while "r1" not in edge.lives.rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        yield Stage(edge, passer)
    passer.close()
    await feed.close()


async def test_who_was_revoked_while_a_gateway_let_them_in_is_not_shown_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage(tmp_path) as staged:
        await staged.edge.revoke("r1", "bob")
        late = await staged.passed("bob")
        assert b" 101 " in await late.head()
        assert await late.close_code() == NOT_ALLOWED
        other = await staged.passed("cat")
        assert b" 101 " in await other.head()
        monkeypatch.setattr("relay.rights.DENIED_SECONDS", 0.0)
        await staged.edge.revoke("r1", "bob")
        again = await staged.passed("bob")
        assert b" 101 " in await again.head()
        assert {viewer.user for viewer in staged.edge.viewers.all if viewer.live is not None} == {"bob", "cat"}
        for client in (late, other, again):
            client.writer.close()


async def test_a_passed_connection_counts_for_its_address_as_long_as_it_lives(tmp_path: Path) -> None:
    async with stage(tmp_path, {"GALAXY_LIMITS__CONNECTIONS_PER_ADDRESS": "2"}) as staged:
        first, second = await staged.passed("bob"), await staged.passed("cat")
        assert b" 101 " in await first.head()
        assert b" 101 " in await second.head()
        third = await staged.passed("dan")
        assert b" 503 " in await third.head()
        await third.gone()
        first.writer.close()
        while len(staged.edge.viewers.all) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        fourth = await staged.passed("eve")
        assert b" 101 " in await fourth.head()
        fourth.writer.close()
        second.writer.close()


@pytest.mark.parametrize("local", [False, True])
async def test_those_through_a_trusted_proxy_count_for_no_address(tmp_path: Path, local: bool) -> None:
    settings = {"GALAXY_LIMITS__CONNECTIONS_PER_ADDRESS": "1", "GALAXY_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    async with stage(tmp_path, settings) as staged:
        clients = [await staged.passed(user, local=local) for user in ("bob", "cat")]
        for client in clients:
            assert b" 101 " in await client.head()
            client.writer.close()
