"""Units of a film, cut, fed to an edge process's parts, and watched by HLS and fMP4."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import m3u8
import pytest
from websockets.asyncio.client import connect
from websockets.protocol import State

from realtime.auth import ticket_secret
from realtime.edge import http as edge_http
from realtime.edge.passes import Passes
from realtime.edge.process import EdgeServer, assembled, feed_path
from realtime.edge.viewers import REVOKED
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay import rights, unix
from relay.feed import Feed
from relay.feed_values import Began
from relay.parts import Parts
from relay.ports import Bearer
from relay.units import HZ, Unit
from tests.support.media import film, units_of
from tests.support.server import config


class Everybody:
    """A gateway that says yes, but of whom was banned; `private`: only to those whom their token lets in."""

    def __init__(self) -> None:
        self.banned: set[str] = set()
        self.private = False

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        return user not in self.banned and (granted or not self.private)

    async def may_replay(self, room: str, recording: str, user: str, granted: bool) -> bool:
        return await self.may_watch(room, user, granted)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_a_stream_is_watched_by_hls_and_fmp4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "DENIED_SECONDS", 0.0)  # a request may wait for longer than that
    settings = config(tmp_path / "data", {"GALAXY_RELAY__PROCESSES": "1"})
    units = units_of(film(tmp_path / "film.mp4", 8))
    feed, gateway = Feed(), Everybody()
    await feed.start(unix.listen(feed_path(settings, 0)))
    began = Began("r1", "s1", "ann", now_ms(), b"k" * 32, False, "s1")
    parts = Parts(lambda: [feed.open(began)])
    async with assembled(settings, 0, now_ms, gateway) as edge, running(edge.server, bind("127.0.0.1", 0)) as server:
        token = Passes(ticket_secret(settings)).issue("r1", Bearer("bob"), now_ms())
        base = f"http://127.0.0.1:{server.port}/v1/rooms/r1"
        for unit in units[: len(units) * 3 // 4]:
            parts.unit(unit)
        async with asyncio.timeout(10), httpx.AsyncClient() as http:
            while "r1" not in edge.lives.rooms or edge.lives.rooms["r1"].window.last_whole < 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            index = await http.get(f"{base}/hls/index.m3u8", params={"pass": token})
            assert index.status_code == 200
            assert "RESOLUTION=320x180" in index.text
            live = next(line for line in index.text.splitlines() if "live.m3u8" in line)
            playlist = await http.get(f"{base}/hls/{live}")
            assert "#EXT-X-PART:" in playlist.text
            names = [line for line in playlist.text.splitlines() if line.startswith("s")]
            for name in names:
                assert (await http.get(f"{base}/hls/s1/{name}")).status_code == 200
            assert (await http.get(f"{base}/hls/index.m3u8")).status_code == 401
            cat = Passes(ticket_secret(settings)).issue("r1", Bearer("cat"), now_ms())
            msn, part = edge.lives.rooms["r1"].window.position
            ask = {"pass": cat, "_HLS_msn": f"{msn}", "_HLS_part": f"{part}"}
            waiting = asyncio.create_task(http.get(f"{base}/hls/s1/live.m3u8", params=ask))
            while not edge.http.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            gateway.banned.add("cat")
            await edge.revoke("r1", "cat")
            for unit in units[len(units) * 3 // 4 : len(units) * 7 // 8]:
                parts.unit(unit)
            assert (await waiting).status_code == 403, "of what came after the revocation nothing is told"
            async with connect(f"{base.replace('http', 'ws')}/stream?pass={token}") as socket:
                said = json.loads(await socket.recv())
                assert (said["type"], said["width"]) == ("init", 320)
                assert (await socket.recv())[4:8] == b"ftyp"
                assert (await socket.recv())[4:8] == b"moof"
                parts.ended("taken_down")
                while not isinstance(message := await socket.recv(), str):
                    pass
                assert json.loads(message) == {"type": "ended", "reason": "taken_down"}
            assert (await http.get(f"{base}/hls/{live}")).status_code == 410
            assert (await http.get(f"{base}/hls/s1/{names[0]}")).status_code == 410
    await feed.close()


@asynccontextmanager
async def just_begun(folder: Path, seconds: float) -> AsyncIterator[tuple[EdgeServer, Parts, Sequence[Unit], str, str]]:
    """A stream that is said to flow is known here, though nothing of it is cut yet: the edge, what is given units and
    which are left, where it is watched, and a pass.
    """
    settings = config(folder / "data", {"GALAXY_RELAY__PROCESSES": "1"})
    units = units_of(film(folder / "film.mp4", seconds))
    feed = Feed()
    await feed.start(unix.listen(feed_path(settings, 0)))
    began = Began("r1", "s1", "ann", now_ms(), b"k" * 32, False, "s1")
    parts = Parts(lambda: [feed.open(began)])
    async with (
        asyncio.timeout(20),
        assembled(settings, 0, now_ms, Everybody()) as edge,
        running(edge.server, bind("127.0.0.1", 0)) as server,
    ):
        token = Passes(ticket_secret(settings)).issue("r1", Bearer("bob"), now_ms())
        parts.unit(units[0])
        while "r1" not in edge.lives.rooms:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        try:
            yield edge, parts, units[1:], f"127.0.0.1:{server.port}/v1/rooms/r1", token
        finally:
            parts.ended("stopped")
    await feed.close()


async def test_who_comes_before_the_first_part_waits_for_it(tmp_path: Path) -> None:
    async with (
        just_begun(tmp_path, 4) as (edge, parts, units, base, token),
        httpx.AsyncClient() as http,
        connect(f"ws://{base}/stream?pass={token}") as socket,
    ):
        asked = asyncio.create_task(http.get(f"http://{base}/hls/index.m3u8", params={"pass": token}))
        while not edge.http.waiting or not edge.lives.rooms["r1"].audience:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for unit in units:
            parts.unit(unit)
        said = json.loads(await socket.recv())
        assert (said["type"], said["width"]) == ("init", 320)
        assert (await socket.recv())[4:8] == b"ftyp"
        assert (await socket.recv())[4:8] == b"moof"
        index = m3u8.loads((await asked).text)
        assert index.playlists[0].stream_info.resolution == (320, 180)
        assert (index.playlists[0].stream_info.bandwidth or 0) > 10_000
        playlist = await http.get(f"http://{base}/hls/{index.playlists[0].uri}")
        assert m3u8.loads(playlist.text).segments[0].duration == 2


@pytest.mark.parametrize("parts_before", [0, 1])
async def test_playlists_of_what_never_begins_are_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts_before: int
) -> None:
    """Nor where it stands still before the first segment is whole."""
    async with just_begun(tmp_path, 4) as (edge, parts, units, base, token), httpx.AsyncClient() as http:
        live = edge.lives.rooms["r1"]
        for unit in units if parts_before else ():
            parts.unit(unit)
            if unit.dts > HZ:
                break
        while len(live.inits) < parts_before:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        asked = asyncio.create_task(http.get(f"http://{base}/hls/index.m3u8", params={"pass": token}))
        while not edge.http.waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        monkeypatch.setattr(edge_http, "BLOCK_SECONDS", 0.1)
        late = await http.get(f"http://{base}/hls/index.m3u8", params={"pass": token})
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")
        assert not asked.done()
        parts.ended("stopped")
        assert (await asked).status_code == (200 if parts_before else 404)


async def test_viewers_are_asked_about_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody tells the edge: who may not watch any more is sent away; whom a token lets in stays while it is
    good.
    """
    monkeypatch.setattr("relay.rights.ASK_AGAIN_SECONDS", 0.01)
    settings = config(tmp_path / "data", {"GALAXY_RELAY__PROCESSES": "1"})
    feed, gateway = Feed(), Everybody()
    await feed.start(unix.listen(feed_path(settings, 0)))
    feed.open(Began("r1", "s1", "ann", now_ms(), b"k" * 32, False, "s1"))
    ahead = 0
    good = now_ms() + 60_000

    def clock() -> int:
        return now_ms() + ahead

    async with assembled(settings, 0, clock, gateway) as edge, running(edge.server, bind("127.0.0.1", 0)) as server:
        passes = Passes(ticket_secret(settings))
        base = f"ws://127.0.0.1:{server.port}/v1/rooms/r1/stream?pass="
        async with asyncio.timeout(10):
            while "r1" not in edge.lives.rooms:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            async with (
                connect(base + passes.issue("r1", Bearer("bob"), now_ms())) as bob,
                connect(base + passes.issue("r1", Bearer("cat", True, good), now_ms())) as cat,
                connect(base + passes.issue("r1", Bearer("dan", True, good), now_ms())) as dan,
                connect(base + passes.issue("r1", Bearer("dan", True, good + 60_000), now_ms())) as again,
            ):
                gateway.private = True
                await bob.wait_closed()
                assert bob.close_code == REVOKED
                assert cat.state is State.OPEN
                gateway.banned.add("cat")
                await cat.wait_closed()
                assert cat.close_code == REVOKED
                assert dan.state is State.OPEN
                ahead = 61_000
                await dan.wait_closed()
                assert dan.close_code == REVOKED
                assert again.state is State.OPEN, "by a token that is still good"
    await feed.close()
