"""nginx and HAProxy with the configurations that are shipped, in front of real servers: what both must do."""

import asyncio
import re
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from loadtest.ports import free_port
from realtime.client import Client, MessageCreated, Room
from realtime.config import Limits
from realtime.gateway.addresses import client_address, parse_networks
from tests.support import haproxy, nginx
from tests.support.haproxy import HAProxy
from tests.support.nginx import Nginx
from tests.support.peer import WAIT, Peer, connected, greeted
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import ServerProcess, opened, token

Proxy = type[Nginx] | type[HAProxy]
BEHIND = {"GALAXY_SERVER__TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(params=[Nginx, HAProxy])
def kind(request: pytest.FixtureRequest) -> Proxy:
    chosen: Proxy = request.param
    return chosen


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, BEHIND) as process:
        yield process


async def make(peer: Peer) -> str:
    room = (await peer.ok("room.create", kind="live", title="Room", visibility="public"))["room"]["id"]
    await peer.ok("room.join", room=room)
    return str(room)


async def test_clients_talk_by_tls_and_their_tokens_are_in_no_log(kind: Proxy, server: ServerProcess) -> None:
    secret = token("ann")
    with kind([server.port]) as proxy:
        trust = ssl.create_default_context(cafile=proxy.certificate)
        async with connected(proxy.tls_url, query=f"?token={secret}", ssl=trust) as ann:
            await ann.take(type="welcome")
            room = await make(ann)
            await ann.ok("message.send", room=room, text="x" * 1_900, key="k1")
            assert (await ann.event("message.created"))["message"]["text"] == "x" * 1_900
        async with httpx.AsyncClient(verify=trust, base_url=proxy.tls_url) as client:
            head = {"Authorization": f"Bearer {secret}", "Referer": f"https://app.example/?token={secret}"}
            said = await client.post("/v1/commands", json={"type": "room.list"}, headers=head)
            assert [found["id"] for found in said.json()["rooms"]] == [room]
        server.kill()
        with pytest.raises(InvalidStatus):
            async with connected(proxy.tls_url, query=f"?token={secret}", ssl=trust):
                pass
        assert "/v1/socket" in proxy.logs(), "requests are logged"
        assert secret.rpartition(".")[2] not in proxy.logs()


async def test_events_stream_as_they_come(kind: Proxy, server: ServerProcess) -> None:
    with kind([server.port]) as proxy:
        async with greeted(proxy.url, token("ann")) as ann, asyncio.timeout(WAIT):
            room = await make(ann)
            head = {"Authorization": f"Bearer {token('ann')}", "Accept": "text/event-stream"}
            async with (
                httpx.AsyncClient(verify=ssl.create_default_context(cafile=proxy.certificate)) as client,
                client.stream("GET", f"{proxy.tls_url}/v1/rooms/{room}/events", headers=head) as stream,
            ):
                lines = stream.aiter_lines()
                await anext(line async for line in lines if line == "event: joined")
                await ann.ok("message.send", room=room, text="now", key="k1")
                await anext(line async for line in lines if line == "event: message.created")


@asynccontextmanager
async def saying_what_it_hears() -> AsyncIterator[int]:
    """The port of a server that answers every request with the head that it has received."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(head), head))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_the_gateway_is_told_who_the_client_is_whatever_that_says(kind: Proxy) -> None:
    async with saying_what_it_hears() as port, AsyncExitStack() as stack:
        proxy = kind([port])
        await asyncio.to_thread(proxy.__enter__)
        stack.push(proxy)
        trust = ssl.create_default_context(cafile=proxy.certificate)
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2", verify=trust)
        forged = {"X-Forwarded-For": "9.9.9.9", "X-Forwarded-Proto": "http"}
        async with httpx.AsyncClient(transport=transport, headers=forged) as client:
            heard = (await client.get(f"{proxy.tls_url}/v1/rooms")).text.lower()
        headers = re.findall(r"^([a-z-]+): *(.*?)\r$", heard, re.MULTILINE)
        chain = ",".join(value for name, value in headers if name == "x-forwarded-for")
        assert client_address("127.0.0.1", chain, parse_networks(["127.0.0.1"])) == "127.0.0.2"
        assert [value for name, value in headers if name == "x-forwarded-proto"] == ["https"]
        assert dict(headers)["host"] == proxy.tls_url.removeprefix("https://")


async def test_a_gateway_that_refuses_is_passed_over(kind: Proxy, server: ServerProcess) -> None:
    with kind([free_port(), server.port]) as proxy:
        async with httpx.AsyncClient(base_url=proxy.url, headers={"Authorization": f"Bearer {token('ann')}"}) as client:
            for _ in range(6):
                said = await client.post("/v1/commands", json={"type": "ping"})
                assert said.status_code == 200
        async with greeted(proxy.url, token("ann")) as ann:
            await ann.ok("ping")


@pytest.fixture
def shared(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """Settings of gateways that have their log and their broker in common."""
    with RedisServer() as redis:
        yield {
            "GALAXY_STORE__URL": postgres.url(postgres.new_database()),
            "GALAXY_BROKER__URL": redis.url,
            "GALAXY_SERVER__RECONNECT_WITHIN_MS": "500",
        }


async def heard_until(room: Room, pos: int) -> list[str]:
    """The texts of all messages up to this position."""
    texts: list[str] = []
    async for event in room.events():
        texts += [event.message.text] if isinstance(event, MessageCreated) and event.message is not None else []
        if event.pos == pos:
            return texts
    raise AssertionError("the room has ended")


async def test_clients_move_over_and_miss_nothing(kind: Proxy, shared: dict[str, str], tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "one", shared) as one,
        ServerProcess(tmp_path / "two", shared) as two,
        kind([one.port, two.port]) as proxy,
    ):
        async with (
            asyncio.timeout(60),
            Client(proxy.url, token=token("ann")) as ann,
            Client(proxy.url, token=token("bob")) as bob,
        ):
            assert (await opened(one), await opened(two)) == (1, 1), "the fewest connections first"
            made = await ann.command("room.create", kind="live", title="Room", visibility="public")
            async with ann.room(made["room"]["id"]) as anns, bob.room(made["room"]["id"]) as bobs:
                await anns.send("before")
                assert one.process is not None
                one.process.send_signal(signal.SIGTERM)
                await bobs.send("meanwhile")
                assert await asyncio.to_thread(one.wait) == 0
                await bobs.send("after")
                last = (await anns.send("at last")).pos
                assert last is not None
                for room in (anns, bobs):
                    assert await heard_until(room, last) == ["before", "meanwhile", "after", "at last"]


@pytest.mark.parametrize("path", ["/metrics", "/%6detrics", "/metrics?x=1"])
def test_metrics_are_not_for_the_world(kind: Proxy, server: ServerProcess, path: str) -> None:
    assert "galaxy_connections" in httpx.get(f"{server.url}{path}").text
    with kind([server.port]) as proxy:
        assert httpx.get(f"{proxy.url}{path}").status_code == 404
        assert httpx.get(f"{proxy.url}/readyz").status_code == 200


def test_plain_http_is_sent_to_tls(kind: Proxy, server: ServerProcess) -> None:
    with kind([server.port]) as proxy:
        said = httpx.get(f"{proxy.plain_url}/docs")
        assert said.status_code == 301
        assert said.headers["location"].startswith("https://127.0.0.1")


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        (nginx.SHIPPED, r"proxy_(?:read|send)_timeout (\d+)s;"),
        (haproxy.SHIPPED, r"timeout (?:client|server|tunnel) (\d+)s"),
    ],
    ids=["nginx", "haproxy"],
)
def test_what_is_silent_between_heartbeats_is_not_cut(path: Path, pattern: str) -> None:
    limits = Limits()
    found = [int(seconds) for seconds in re.findall(pattern, path.read_text())]
    assert len(found) >= 2
    assert all(seconds > limits.heartbeat_ms / 1_000 + limits.pong_seconds for seconds in found)


def test_http2(server: ServerProcess) -> None:
    with Nginx([server.port]) as proxy:
        command = ["curl", "-sS", "--http2", "--cacert", str(proxy.certificate), "-w", "%{http_version}"]
        said = subprocess.run([*command, f"{proxy.tls_url}/healthz"], capture_output=True, text=True, check=True)
        assert said.stdout == '{"status":"ok"}2'
