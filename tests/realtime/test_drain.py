"""SIGTERM under load: everybody is told, nothing acknowledged is lost, and the process ends whatever clients do."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from rooms.drafts import Draft, Verdict
from tests.support.peer import WAIT, Peer, connected, greeted
from tests.support.server import NO_LIMITS, ServerProcess, serving, token

DRAIN_SECONDS = 3
SETTINGS = NO_LIMITS | {
    "GALAXY_SERVER__DRAIN_SECONDS": str(DRAIN_SECONDS),
    "GALAXY_SERVER__RECONNECT_WITHIN_MS": "1000",
}
END_SECONDS = DRAIN_SECONDS + 5
"""By when the process has ended: the drain, close handshakes, and a slow machine."""
SENDERS = 6


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, SETTINGS) as process:
        yield process


async def make(url: str) -> str:
    async with greeted(url, token("owner")) as owner:
        made = await owner.ok("room.create", kind="live", title="Room", visibility="public")
        return str(made["room"]["id"])


async def ended(server: ServerProcess) -> int:
    """The exit code; fails where the process does not end in time."""
    return await asyncio.to_thread(server.wait, END_SECONDS)


def signalled(server: ServerProcess, number: signal.Signals) -> None:
    assert server.process is not None
    server.process.send_signal(number)


async def until_closed(peer: Peer, heard: list[dict[str, Any]]) -> tuple[int, str]:
    """Reads on until the server closes."""
    end = await peer.closed()
    heard.extend(peer.inbox)
    return end


async def talk(peer: Peer, room: str, acknowledged: dict[int, str], name: str) -> tuple[int, str]:
    """Sends one message after the other until the connection ends."""
    with contextlib.suppress(ConnectionClosed):  # its code is asked for below, whichever call met it
        for number in range(1_000_000):
            text = f"{name} {number}"
            reply = await peer.reply(await peer.send("message.send", room=room, text=text, key=text))
            assert reply["type"] == "ok", reply
            acknowledged[reply["pos"]] = text
    return await peer.closed()


async def whole_log(url: str, room: str) -> dict[int, str]:
    found: dict[int, str] = {}
    async with greeted(url, token("owner")) as owner:
        after, more = 0, True
        while more:
            page = await owner.ok("room.events", room=room, after=after, limit=200)
            for event in page["events"]:
                after += 1
                assert event["pos"] == after
                if event["type"] == "message.created":
                    found[event["pos"]] = event["message"]["text"]
            more = page["more"]
    return found


async def test_nothing_acknowledged_is_lost(server: ServerProcess) -> None:
    room = await make(server.url)
    acknowledged: dict[int, str] = {}
    heard: list[dict[str, Any]] = []
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        senders = [await stack.enter_async_context(greeted(server.url, token(f"s{n}"))) for n in range(SENDERS)]
        reader = await stack.enter_async_context(greeted(server.url, token("reader")))
        joined = await reader.ok("room.join", room=room)
        reading = asyncio.create_task(until_closed(reader, heard))
        talking = [asyncio.create_task(talk(s, room, acknowledged, f"s{n}")) for n, s in enumerate(senders)]
        while len(acknowledged) < 200:
            await asyncio.wait(talking, timeout=0.01)
        signalled(server, signal.SIGTERM)
        async with httpx.AsyncClient(base_url=server.url) as client:
            # New connections are still taken, and told where not to go.
            while (ready := await client.get("/readyz")).status_code == 200:
                pass
            assert ready.status_code == 503
            assert (await client.get("/healthz")).status_code == 200
        before = len(acknowledged)
        async with greeted(server.url, token("late")) as late:
            assert await late.closed() == (3001, "shutting down")
        assert len(acknowledged) > before, "commands are served until the clients had their time to leave"
        assert [await task for task in talking] == [(3001, "shutting down")] * SENDERS
        assert await reading == (3001, "shutting down")
        assert await ended(server) == 0
    assert [event for event in heard if event["type"] == "reconnect"] == [{"type": "reconnect", "within_ms": 1_000}]
    assert all([event for event in peer.inbox if event["type"] == "reconnect"] for peer in senders)
    await asyncio.to_thread(server.start)
    log = await whole_log(server.url, room)
    assert acknowledged.items() <= log.items()
    assert len(set(log.values())) == len(log)
    created = [event["pos"] for event in heard if event["type"] == "message.created"]
    assert created == list(range(joined["pos"] + 1, joined["pos"] + 1 + len(created)))
    assert all(log[pos] for pos in created)
    assert set(created) >= set(acknowledged)


async def test_it_ends_although_clients_never_read_nor_close(server: ServerProcess) -> None:
    room = await make(server.url)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        owner = await stack.enter_async_context(greeted(server.url, token("owner")))
        start = await owner.ok("room.events", room=room)
        for number in range(40):
            await owner.ok("message.send", room=room, text=f"{number} " + "x" * 1_900)
        deaf = [await stack.enter_async_context(never_reading(server, f"deaf{n}")) for n in range(3)]
        for peer in deaf:
            # More recoveries than a socket holds: some of them wait for a client that will never read.
            for _ in range(60):
                await peer.send("room.join", room=room, since={"epoch": start["epoch"], "pos": start["pos"]})
        for head in (
            b"",
            b"GET / HTTP/1.1\r\n",
            b"POST /v1/commands HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        ):
            half_open = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            half_open.sendall(head)
        await owner.ok("ping")
        signalled(server, signal.SIGTERM)
        assert await owner.closed() == (3001, "shutting down")
        assert await ended(server) == 0


@asynccontextmanager
async def never_reading(server: ServerProcess, user: str) -> AsyncIterator[Peer]:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.connect(("127.0.0.1", server.port))
    sock.setblocking(False)
    async with connected(server.url, token(user), sock=sock, max_queue=1) as peer:
        yield peer
        peer.ws.transport.abort()


async def test_sigint_is_obeyed_alike(server: ServerProcess) -> None:
    async with greeted(server.url, token("ann")) as ann:
        signalled(server, signal.SIGINT)
        assert (await ann.event("reconnect"))["within_ms"] == 1_000
        # Everybody has gone: nothing is left to wait for.
    assert await ended(server) == 0


class Undecided:
    """A policy that never comes to a verdict."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def judge(self, draft: Draft) -> Verdict | Awaitable[Verdict]:
        return self._never() if draft.what == "message" else Verdict("allow", "test")

    async def _never(self) -> Verdict:
        self.asked.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError


async def test_it_ends_although_the_policy_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Undecided()
    monkeypatch.setattr("realtime.app.WordList", lambda *_: policy)
    settings = NO_LIMITS | {"GALAXY_SERVER__DRAIN_SECONDS": "1"}
    async with asyncio.timeout(WAIT), AsyncExitStack() as stack:
        async with serving(tmp_path, settings) as server:
            ann = await stack.enter_async_context(greeted(server.url, token("ann")))
            made = await ann.ok("room.create", kind="live", title="Room", visibility="public")
            await ann.send("message.send", room=made["room"]["id"], text="hi")
            await ann.send("message.list", room=made["room"]["id"])
            await policy.asked.wait()
        assert await ann.closed() == (3001, "shutting down")
        assert [value for value in ann.inbox if value["type"] in ("ok", "error")] == []
