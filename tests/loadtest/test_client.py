"""One connection of the load against the real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.client import LOST, Client, Lost
from loadtest.codec import CODECS, JSON, Seen
from loadtest.server import HOST, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


class Ended:
    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.told = asyncio.Event()

    def __call__(self, client: Client, error: Exception) -> None:
        self.errors.append(error)
        self.told.set()


def client_of(server: Server, ended: Ended, codec: str = "json") -> Client:
    return Client("ann", server.token("ann", "Ann"), CODECS[codec], ended)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_it_connects_asks_and_connects_again(server: Server, codec: str) -> None:
    ended = Ended()
    client = client_of(server, ended, codec)
    for _ in range(2):
        await client.connect(HOST, server.port)
        assert client.connected
        assert (await client.ask({"type": "ping"})).type == "ok"
        client.drop()
        assert not client.connected
    assert ended.errors == []


async def test_a_refused_command_is_lost(server: Server) -> None:
    client = client_of(server, Ended())
    await client.connect(HOST, server.port)
    with pytest.raises(Lost, match="not_found"):
        await client.ask({"type": "room.join", "room": "none"})
    client.drop()


async def test_a_bad_token_is_lost(server: Server) -> None:
    client = Client("ann", "none", JSON, Ended())
    with pytest.raises(Lost, match="unauthorized"):
        await client.connect(HOST, server.port)
    assert not client.connected


async def test_who_is_not_connected_gets_no_reply_but_an_error(server: Server) -> None:
    client = client_of(server, Ended())
    replies: list[Seen] = []
    client.send({"type": "ping"}, replies.append)
    await client.connect(HOST, server.port)
    client.send({"type": "ping"}, replies.append)
    assert client.busy
    client.drop()
    assert [reply.code for reply in replies] == [LOST, LOST]
    assert not client.busy


async def test_a_server_that_ends_a_connection_is_told(tmp_path: Path) -> None:
    ended = Ended()
    with Server(tmp_path) as server:
        client = client_of(server, ended)
        await client.connect(HOST, server.port)
    await asyncio.wait_for(ended.told.wait(), 10)
    assert len(ended.errors) == 1
    assert not client.connected
