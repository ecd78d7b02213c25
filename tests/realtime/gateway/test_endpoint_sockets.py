"""Connections written to by descriptor, on the whole server: resets amid messages, numbers used again, many replies."""

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from realtime.gateway.outgoing import Outgoing
from tests.support.peer import JSON, MSGPACK, Peer, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serving(tmp_path_factory.mktemp("sockets"), NO_LIMITS) as server:
        yield server.url


@pytest_asyncio.fixture(loop_scope="module")
async def owner(url: str) -> AsyncIterator[Peer]:
    async with greeted(url, token("owner", name="Owner")) as peer:
        yield peer


async def make(owner: Peer) -> str:
    return str((await owner.ok("room.create", kind="group", title="Room", visibility="public"))["room"]["id"])


def reset(peer: Peer) -> None:
    """Cuts the connection from the client's end, so that the server's next write fails."""
    sock = peer.ws.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.ws.transport.abort()


async def test_peers_that_reset_amid_messages_end_alone_and_leave_nothing_to_who_comes(url: str, owner: Peer) -> None:
    rooms = [await make(owner) for _ in range(3)]
    async with AsyncExitStack() as stack:

        async def come(number: int, *, join: bool) -> Peer:
            peer = await stack.enter_async_context(greeted(url, token(f"u{number}"), codec=(JSON, MSGPACK)[number % 2]))
            for room in rooms if join else ():
                await peer.ok("room.join", room=room)
            return peer

        staying = [await come(number, join=True) for number in range(4)]
        for turn in range(3):
            leaving = [await come(10 + number, join=True) for number in range(6)]
            ids = [await owner.send("message.send", room=room, text="x" * 200) for room in rooms for _ in range(5)]
            for peer in leaving:
                reset(peer)
            # These get the numbers of those who have gone, and are in no room.
            strangers = [await come(20 + number, join=False) for number in range(6)]
            for command_id in ids:
                assert (await owner.reply(command_id))["type"] == "ok"
            for room in rooms:
                assert (await owner.ok("message.send", room=room, text="after"))["pos"] == 1 + 6 * (turn + 1)
            for peer in staying:
                for room in rooms:
                    for pos in range(2 + 6 * turn, 2 + 6 * (turn + 1)):
                        heard = await peer.take(type="message.created", room=room)
                        assert heard["pos"] == pos
            for peer in strangers:
                await peer.ok("ping")
                assert [event for event in peer.inbox if "room" in event] == []


async def test_the_answers_to_a_batch_are_few_writes_each_before_its_own_event(
    url: str, owner: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = 0

    write_now = Outgoing.write_now

    def counted(connection: Outgoing, frames: bytes | memoryview) -> None:
        nonlocal writes
        writes += 1
        write_now(connection, frames)

    room = await make(owner)
    await owner.ok("room.join", room=room)
    monkeypatch.setattr(Outgoing, "write_now", counted)
    ids = [await owner.send("message.send", room=room, text=f"{number}") for number in range(500)]
    told: list[tuple[str, int]] = []
    while len(told) < 2 * len(ids):
        seen = await owner.receive()
        if seen["type"] in ("ok", "message.created"):
            told.append((seen["type"], seen["pos"]))
    # Pings and counts of unread messages are among the writes.
    assert writes < len(ids) / 2
    assert [pos for what, pos in told if what == "ok"] == list(range(2, 502))
    assert [pos for what, pos in told if what == "message.created"] == list(range(2, 502))
    assert all(told.index(("ok", pos)) < told.index(("message.created", pos)) for pos in range(2, 502))
