"""A whole server with media, and ffmpeg as an encoder."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from tests.support.server import ServerProcess, token

PATIENCE = 30.0
LOGGED = frozenset({"live.started", "live.updated", "live.interrupted", "live.resumed", "live.stopped"})
"""Events of a live that are in the log."""
T = TypeVar("T")


class Served(Protocol):
    """A server, wherever it runs."""

    url: str


class LiveServer(ServerProcess):
    """With one media process unless `settings` say otherwise, all ports free ones."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None, *, host: str = "127.0.0.1"):
        ports = {f"GALAXY_RELAY__{name}_PORT": "0" for name in ("RTMP", "UDP", "EDGE")}
        super().__init__(
            data,
            {"GALAXY_RELAY__PROCESSES": "1", "GALAXY_RELAY__FREE_MEGABYTES": "1"} | ports | dict(settings or {}),
            host=host,
        )

    def pids(self, kind: str) -> list[int]:
        """Of the processes of this kind, by what the supervisor has told them."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        told = f'"kind":"{kind}"'.encode()
        return [int(pid) for pid in children if told in Path(f"/proc/{pid}/cmdline").read_bytes()]


class Creator:
    """By HTTP."""

    def __init__(self, client: httpx.AsyncClient, room: str):
        self.client, self.room = client, room

    async def command(self, **fields: Any) -> dict[str, Any]:
        answer = await self.client.post("/v1/commands", json=fields)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def address(self, *, rotate: bool = False) -> str:
        """Where an encoder publishes to."""
        key = await self.command(type="live.key", room=self.room, rotate=rotate)
        return f"{key['rtmp']}/{key['key']}"

    async def events(self) -> list[str]:
        answer = await self.client.get(f"/v1/rooms/{self.room}/events?limit=100")
        return [event["type"] for event in answer.json()["events"]]

    async def until(self, *events: str) -> None:
        """Waits until the room's log has these of its live, in this order, and no other."""
        left = list(events)
        stream = self.client.stream(
            "GET", f"/v1/rooms/{self.room}/events?after=0", headers={"Accept": "text/event-stream"}
        )
        async with asyncio.timeout(PATIENCE), stream as answer:
            async for line in answer.aiter_lines():
                name = line.removeprefix("event: ")
                if name in LOGGED:
                    assert name == left.pop(0), (name, events)
                if not left:
                    break
        assert [name for name in await self.events() if name.startswith("live.")] == list(events)

    async def shown(self) -> ClientConnection:
        """A viewer who comes again, as a player does, until something is shown."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    viewer = await self.watch()
                    await parts(viewer, 2)
                except (InvalidStatus, InvalidMessage, ConnectionClosed):
                    await asyncio.sleep(0.1)
                else:
                    return viewer

    async def poster(self) -> bytes:
        """The stream's picture, as soon as there is one."""
        path = f"/v1/rooms/{self.room}/live/poster.webp"
        answer = await answered(
            lambda: self.client.get(path, follow_redirects=True), lambda answer: answer.status_code == 200
        )
        return answer.content

    async def recordings(self, count: int = 1) -> list[dict[str, Any]]:
        """As soon as there are so many."""

        async def listed() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await self.command(type="recording.list", room=self.room))["recordings"]
            return found

        return await answered(listed, lambda found: len(found) >= count)

    async def watch(self) -> ClientConnection:
        url = str(self.client.base_url).replace("http", "ws", 1)
        headers = {"Authorization": self.client.headers["Authorization"]}
        return await connect(f"{url}/v1/rooms/{self.room}/stream", additional_headers=headers, max_size=None)


@asynccontextmanager
async def creator(server: Served, user: str = "ana") -> AsyncIterator[Creator]:
    """With a live room of their own."""
    headers = {"Authorization": f"Bearer {token(user, name=user)}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
        made = Creator(client, "")
        created = await made.command(type="room.create", kind="live", title="Live", visibility="public", key="k")
        made.room = created["room"]["id"]
        yield made


@contextmanager
def encoder(
    address: str, b_frames: int = 2, size: str = "320x180", picture: str = "testsrc2="
) -> Iterator[subprocess.Popen[bytes]]:
    """ffmpeg, which publishes a `picture` (of libavfilter, as far as its size) with sound until it is ended."""
    source = f"{picture}size={size}:rate=30"
    sources = ["-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", str(b_frames), "-c:a", "aac"]
    command = ["ffmpeg", "-loglevel", "quiet", "-re", *sources, *codecs, "-f", "flv", address]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


async def answered(ask: Callable[[], Awaitable[T]], true: Callable[[T], object]) -> T:
    """Asks again and again for what nobody is told, until it is true."""
    async with asyncio.timeout(PATIENCE):
        while not true(answer := await ask()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return answer


async def ended(process: subprocess.Popen[bytes]) -> None:
    await asyncio.wait_for(asyncio.to_thread(process.wait), PATIENCE)


async def parts(viewer: ClientConnection, count: int) -> list[dict[str, Any] | bytes]:
    """Messages up to the one that completes so many binary ones; texts read."""
    found: list[dict[str, Any] | bytes] = []
    async with asyncio.timeout(PATIENCE):
        while sum(isinstance(one, bytes) for one in found) < count:
            message = await viewer.recv()
            found.append(json.loads(message) if isinstance(message, str) else message)
    return found


def kill(pid: int) -> None:
    os.kill(pid, 9)
