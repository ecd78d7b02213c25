"""WHIP and WHEP over HTTP as far as no media process of ours is needed, and where clients are sent."""

import asyncio
import base64
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from realtime.http.media import FRAGMENT, MOST_SDP, SDP, turn_link
from relay import unix
from relay.engine import Answer
from relay.ports import Bearer
from relay.process import engine_path
from relay.rpc import methods_of
from relay.rpc_links import Listener
from tests.support.server import config, serving, token

ROOM = "/v1/rooms/r1"


class Asked(Protocol):
    """What these tests ask of a media process."""

    async def name(self) -> str: ...
    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer: ...
    async def hang_up(self, resource: str) -> None: ...
    async def remove_viewer(self, room: str, viewer: str) -> None: ...
    async def describe(self, room: str) -> dict[str, Any] | None: ...


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

    async def describe(self, room: str) -> dict[str, Any] | None:
        return {}


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


@pytest.mark.parametrize("banned", [True, False])
async def test_who_is_banned_while_the_media_process_is_slow_does_not_watch(
    client: httpx.AsyncClient, tmp_path: Path, banned: bool
) -> None:
    room = await room_of(client)
    process = SlowProcess()
    listener = Listener(methods_of(Asked, process))
    await listener.start(unix.listen(engine_path(config(tmp_path).data / "run", 0)))
    headers = {"content-type": SDP, "authorization": f"Bearer {token('bob', name='bob')}"}
    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            offered = tasks.create_task(_offered(client, room, headers))
            await process.offered.wait()
            if banned:
                ban = {"type": "member.ban", "room": room.rpartition("/")[2], "user": "bob"}
                assert (await client.post("/v1/commands", json=ban)).status_code == 200
                assert await process.removed.get() == "bob"
            process.let_go.set()
        answer = offered.result()
    finally:
        await listener.close()
    assert answer.status_code == (403 if banned else 201), answer.text
    assert process.sessions == (set() if banned else {"s1"})


async def _offered(client: httpx.AsyncClient, room: str, headers: dict[str, str]) -> httpx.Response:
    """Once the gateway has found its media process."""
    while True:
        answer = await client.post(f"{room}/whep", content=b"v=0", headers=headers)
        if answer.status_code != 404:
            return answer


async def test_a_viewer_by_websocket_whom_no_edge_takes_comes_again(client: httpx.AsyncClient) -> None:
    room = await room_of(client)
    upgrade = {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-version": "13"}
    upgrade["sec-websocket-key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    answer = await client.get(f"{room}/stream", headers=upgrade)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    del client.headers["Authorization"]
    assert (await client.get(f"{room}/stream", headers=upgrade)).status_code == 401
    other = upgrade | {"origin": "https://elsewhere.example"}
    assert (await client.get(f"{room}/stream", headers=other)).status_code == 403


def test_turn_credentials_are_what_coturn_computes() -> None:
    link = turn_link("turn:turn.example.com:3478", "s3cret", 'ana"', 1_700_000_000)
    expected = base64.b64encode(hmac.digest(b"s3cret", b"1700000000:ana_", "sha1")).decode()
    assert link == (
        '<turn:turn.example.com:3478>; rel="ice-server"; username="1700000000:ana_"; '
        f'credential="{expected}"; credential-type="password"'
    )
