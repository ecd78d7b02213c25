"""A stream that is over: what is being sent of it ends as soon as nothing of it may be shown any more."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from realtime.auth import ticket_secret
from realtime.edge.live import Live
from realtime.edge.passes import Passes
from realtime.edge.ports import Watching
from realtime.edge.process import EdgeServer, assembled
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay.feed_values import Began, Index, Over, Stored
from relay.parts_values import Init, Part, SegmentEnded
from relay.ports import Bearer, Reason
from relay.units import HZ
from tests.realtime.edge.test_edge import Everybody, now_ms
from tests.realtime.edge.test_passed import HEAD
from tests.realtime.edge.test_readers import SIZE, begun
from tests.support.server import config
from tests.support.stalled import stalling_disk, stuck

MEMORY, DISK = 1, 0
"""Segments, by where they are."""


@asynccontextmanager
async def stage(folder: Path, media: Path) -> AsyncIterator[tuple[EdgeServer, Live, httpx.AsyncClient]]:
    """An edge process with a stream in `r1`."""
    settings = config(folder / "data", {"GALAXY_RELAY__PROCESSES": "1", "GALAXY_RELAY__MEDIA_DIR": str(media)})
    async with (
        asyncio.timeout(40),
        assembled(settings, 0, now_ms, Everybody()) as edge,
        running(edge.server, bind("127.0.0.1", 0)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/v1/rooms/r1/hls/s1/") as http,
    ):
        live = edge.lives.rooms["r1"] = Live(Began("r1", "s1", "ann", 0, b"k" * 32, False, "s1"), 3_600, edge.counters)
        live.tell(Init(1, b"init", b"", "avc1.64001f", 640, 360))
        live.tell(Index((Stored(DISK, 0, 2 * HZ, 1, False, 0, "1.mp4", 0, SIZE),)))
        live.tell(Part(MEMORY, 0, 2 * HZ, 2 * HZ, True, 1, False, 0, False, bytes(SIZE)))
        live.tell(SegmentEnded(MEMORY, 2 * HZ, 2 * HZ))
        yield edge, live, http


def keep(media: Path) -> None:
    (media / "s1").mkdir(parents=True)
    with (media / "s1" / "1.mp4").open("wb") as file:
        file.truncate(SIZE)


@pytest.mark.parametrize("where", [MEMORY, DISK])
@pytest.mark.parametrize("reason", ["taken_down", "banned"])
async def test_a_segment_on_its_way_is_cut_off(tmp_path: Path, where: int, reason: Reason) -> None:
    keep(tmp_path / "media")
    async with stage(tmp_path, tmp_path / "media") as (edge, live, http):
        name = live.names.segment(where, audio=False)
        async with http.stream("GET", name) as answer:
            sending = await begun(answer)
            await edge.ended("r1", "s1", reason)
            with pytest.raises(httpx.ReadError):
                await sending.rest()
            assert sending.got < SIZE
        assert (await http.get(name)).status_code == 410


async def test_what_only_ends_is_sent_whole(tmp_path: Path) -> None:
    async with (
        stage(tmp_path, tmp_path / "media") as (edge, live, http),
        http.stream("GET", live.names.segment(MEMORY, audio=False)) as answer,
    ):
        sending = await begun(answer)
        edge.lives.end(live, Over("stopped"))
        await sending.rest()
        assert sending.got == SIZE


async def test_what_a_slow_disk_gives_too_late_is_not_shown(tmp_path: Path) -> None:
    with stalling_disk(tmp_path) as disk:
        keep(disk.path)
        async with stage(tmp_path, disk.path) as (edge, live, http):
            disk.stall()
            reading = asyncio.create_task(http.get(live.names.segment(DISK, audio=False)))
            await stuck(os.getpid())
            await edge.ended("r1", "s1", "taken_down")
            disk.resume()
            assert (await reading).status_code == 410


class SlowViewer:
    """By fMP4; reads when it is told to."""

    def __init__(self, folder: Path, base: httpx.URL):
        token = Passes(ticket_secret(config(folder / "data"))).issue("r1", Bearer("bob"), now_ms())
        self._socket = socket.create_connection((base.host, base.port))
        self._socket.setblocking(False)
        self._socket.send(HEAD.replace(b"/stream", f"/stream?pass={token}".encode()))

    async def all(self) -> int:
        """Bytes, until the other side has ended it."""
        count = 0
        with self._socket as sock:
            while data := await asyncio.get_running_loop().sock_recv(sock, 1_000_000):
                count += len(data)
        return count


@pytest.mark.parametrize("how", ["revoked", "taken_down", "stopped"])
async def test_a_slow_viewer_is_not_sent_what_waits_but_where_it_only_ends(tmp_path: Path, how: str) -> None:
    async with stage(tmp_path, tmp_path / "media") as (edge, live, http):
        slow = SlowViewer(tmp_path, http.base_url)
        while not len(live.audience):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        live.tell(Part(MEMORY + 1, 0, 4 * HZ, 2 * HZ, True, 1, False, 0, False, bytes(SIZE // 2)))
        (viewer,) = edge.viewers.all
        assert viewer.connection.unsent
        if how == "revoked":
            await edge.revoke("r1", "bob")
        else:
            edge.lives.end(live, Over("taken_down" if how == "taken_down" else "stopped"))
        got = await slow.all()
        assert (got > SIZE // 2) == (how == "stopped")


async def test_of_what_is_over_nobody_counts_as_a_viewer(tmp_path: Path) -> None:
    """Though who watched by HLS has asked just now."""
    async with stage(tmp_path, tmp_path / "media") as (edge, live, http):
        token = Passes(ticket_secret(config(tmp_path / "data"))).issue("r1", Bearer("bob"), now_ms())
        for over in (False, True):
            assert (await http.get("live.m3u8", params={"pass": token})).status_code == 200
            assert await edge.watching() == (() if over else (Watching("r1", (), ("bob",)),))
            edge.lives.end(live, Over("stopped"))
