"""WHIP and WHEP over HTTP as far as no media process of ours is needed, and where clients are sent."""

import asyncio
import base64
import hmac
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from realtime.edge.passing import Arrivals, Passed
from realtime.edge.process import passing_path
from realtime.http.media import FRAGMENT, MOST_SDP, SDP, turn_link
from realtime.stores.sqlite import SQLiteStore
from relay import unix
from relay.engine import Answer
from relay.ports import Bearer, Claim
from relay.process import engine_path
from relay.remote import RemoteGate
from relay.rpc import methods_of
from relay.rpc_links import Listener
from rooms.live import Stream
from tests.support.server import config, serving, token

ROOM = "/v1/rooms/r1"
UPGRADE = {
    "connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}  # fmt: skip


class Asked(Protocol):
    """What these tests ask of a media process."""

    async def name(self) -> str: ...
    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer: ...
    async def hang_up(self, resource: str) -> None: ...
    async def remove_viewer(self, room: str, viewer: str) -> None: ...


class SlowProcess:
    """A media process that answers an offer when it is `let_go`, and knows nothing then of who was removed."""

    def __init__(self) -> None:
        self.offered, self.let_go = asyncio.Event(), asyncio.Event()
        self.removed: asyncio.Queue[str] = asyncio.Queue()
        self.sessions: set[str] = set()

    async def name(self) -> str:
        return "slow"

    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer:
        self.offered.set()
        await self.let_go.wait()
        self.sessions.add("s1")
        return Answer("v=0", "s1", "e1")

    async def hang_up(self, resource: str) -> None:
        self.sessions.remove(resource)

    async def remove_viewer(self, room: str, viewer: str) -> None:
        self.removed.put_nowait(viewer)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Of a gateway whose media process is away."""
    settings = {"GALAXY_RELAY__PROCESSES": "1", "GALAXY_RELAY__EDGE_PORT": "8181"}
    async with serving(tmp_path, settings) as running, httpx.AsyncClient(base_url=running.url) as client:
        yield client


async def room_of(client: httpx.AsyncClient) -> str:
    client.headers["Authorization"] = f"Bearer {token('ana')}"
    command = {"type": "room.create", "kind": "live", "title": "L", "visibility": "public", "key": "k"}
    created = await client.post("/v1/commands", json=command)
    return f"/v1/rooms/{created.json()['room']['id']}"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/whip", {"content-type": SDP}, b"v=0", 401),
        ("POST", "/whip", {"content-type": "text/plain", "authorization": "Bearer k"}, b"v=0", 415),
        ("POST", "/whip", {"content-type": SDP, "authorization": "Bearer k"}, b"\xff", 400),
        ("POST", "/whip", {"content-type": SDP, "authorization": "Bearer k"}, b"v" * (MOST_SDP + 1), 413),
        ("POST", "/whip", {"content-type": SDP, "authorization": "Bearer a.b.c"}, b"v=0", 401),
        ("POST", "/whip", {"content-type": SDP, "authorization": "Bearer k"}, b"v=0", 503),
        ("POST", "/whep", {"content-type": SDP}, b"v=0", 401),
        ("PATCH", "/whip/0-abc", {"content-type": FRAGMENT}, b"", 428),
        ("PATCH", "/whip/0-abc", {"content-type": SDP, "if-match": '"e"'}, b"", 415),
        ("PATCH", "/whip/7-abc", {"content-type": FRAGMENT, "if-match": '"e"'}, b"", 404),
        ("DELETE", "/whip/nonsense", {}, b"", 404),
        ("DELETE", "/whep/7-abc", {}, b"", 404),
        ("GET", "/whip", {}, b"", 405),
        ("GET", "/hls/index.m3u8", {}, b"", 401),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    answer = await client.request(method, ROOM + path, headers=headers, content=body)
    assert answer.status_code == status, answer.text
    assert status == 413 or answer.json()["type"] == "error"


async def test_options_say_what_can_be_sent(client: httpx.AsyncClient) -> None:
    answer = await client.options(f"{ROOM}/whip")
    assert (answer.status_code, answer.headers["accept-post"]) == (204, SDP)


async def test_hls_is_at_the_edge_port_with_a_pass(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    answer = await client.get(f"{room}/hls/index.m3u8")
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"http://127.0.0.1:8181{room}/hls/index.m3u8?pass=")
    assert answer.headers["cache-control"] == "no-store"


async def test_the_edge_is_told_what_was_asked_for_but_no_token(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    del client.headers["Authorization"]
    bob = token("bob", name="bob")
    answer = await client.get(f"{room}/hls/index.m3u8?token={bob}&dvr=1")
    assert list(httpx.URL(answer.headers["location"]).params) == ["pass", "dvr"]
    answer = await client.get(f"{room}/recordings/r1/recording.mp4?part=2&token={bob}")
    assert answer.headers["location"].endswith("&part=2")


async def test_a_token_publishes_only_where_its_user_may(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    client.headers["Authorization"] = f"Bearer {token('bob')}"
    answer = await client.post(f"{room}/whip", content=b"v=0", headers={"content-type": SDP})
    assert answer.status_code == 403
    client.headers["Authorization"] = f"Bearer {token('ana')}"
    answer = await client.post(f"{room}/whip", content=b"v=0", headers={"content-type": SDP})
    assert answer.status_code == 503


async def test_nothing_is_watched_where_nothing_is_streamed(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    answer = await client.post(f"{room}/whep", content=b"v=0", headers={"content-type": SDP})
    assert answer.status_code == 404


@asynccontextmanager
async def streaming(client: httpx.AsyncClient, folder: Path) -> AsyncIterator[tuple[str, SlowProcess]]:
    """A room, and the media process that has its stream."""
    room, process = await room_of(client), SlowProcess()
    listener = Listener(methods_of(Asked, process))
    await listener.start(unix.listen(engine_path(config(folder).data / "run", 0)))
    try:
        command = {"type": "live.key", "room": room.rpartition("/")[2]}
        key = (await client.post("/v1/commands", json=command)).json()["key"]
        await RemoteGate(listener).admit(Claim("rtmp", "192.0.2.1", key=key))
        yield room, process
    finally:
        await listener.close()


async def ban(client: httpx.AsyncClient, room: str) -> None:
    command = {"type": "member.ban", "room": room.rpartition("/")[2], "user": "bob"}
    assert (await client.post("/v1/commands", json=command)).status_code == 200


@pytest.mark.parametrize("banned", [True, False])
async def test_who_is_banned_while_the_media_process_is_slow_does_not_watch(
    client: httpx.AsyncClient, tmp_path: Path, banned: bool
) -> None:
    headers = {"content-type": SDP, "authorization": f"Bearer {token('bob', name='bob')}"}
    async with asyncio.timeout(20), streaming(client, tmp_path) as (room, process):
        offered = asyncio.create_task(client.post(f"{room}/whep", content=b"v=0", headers=headers))
        await process.offered.wait()
        if banned:
            await ban(client, room)
            assert await process.removed.get() == "bob"
        process.let_go.set()
        answer = await offered
    assert answer.status_code == (403 if banned else 201), answer.text
    assert process.sessions == (set() if banned else {"s1"})


async def test_who_is_banned_while_the_store_is_slow_is_not_passed_to_the_edge(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Passed] = []

    def take(one: Passed, sock: socket.socket) -> None:
        passed.append(one)
        sock.close()

    read, asked, go_on = SQLiteStore.stream, asyncio.Event(), asyncio.Event()

    async def slow(store: SQLiteStore, room: str) -> Stream:
        found = await read(store, room)
        asked.set()
        await go_on.wait()
        return found

    async with asyncio.timeout(20), streaming(client, tmp_path) as (room, _):
        with Arrivals(passing_path(config(tmp_path), 0), take):
            headers = UPGRADE | {"authorization": f"Bearer {token('bob', name='bob')}"}
            monkeypatch.setattr(SQLiteStore, "stream", slow)
            coming = asyncio.create_task(client.get(f"{room}/stream", headers=headers))
            await asked.wait()
            await ban(client, room)
            go_on.set()
            assert (await coming).status_code == 403
    assert passed == []


async def test_a_viewer_by_websocket_whom_no_edge_takes_comes_again(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    answer = await client.get(f"{room}/stream", headers=UPGRADE)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    del client.headers["Authorization"]
    assert (await client.get(f"{room}/stream", headers=UPGRADE)).status_code == 401
    other = UPGRADE | {"origin": "https://elsewhere.example"}
    assert (await client.get(f"{room}/stream", headers=other)).status_code == 403


def test_turn_credentials_are_what_coturn_computes() -> None:
    link = turn_link("turn:turn.example.com:3478", "s3cret", 'ana"', 1_700_000_000)
    expected = base64.b64encode(hmac.digest(b"s3cret", b"1700000000:ana_", "sha1")).decode()
    assert link == (
        '<turn:turn.example.com:3478>; rel="ice-server"; username="1700000000:ana_"; '
        f'credential="{expected}"; credential-type="password"'
    )
