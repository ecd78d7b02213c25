"""Low-latency HLS from a real edge process's server, held against the RFC: blocking reload, hints, delta updates."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from msgspec import Struct

from realtime.auth import ticket_secret
from realtime.edge import http as edge_http
from realtime.edge.live import Live
from realtime.edge.passes import Passes
from realtime.edge.process import EdgeServer, assembled, feed_path
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay import unix
from relay.feed import Feed, Line
from relay.feed_values import Began, Stored, Told
from relay.parts import Parts
from relay.parts_values import Keyframes, Part, SegmentEnded
from relay.ports import Bearer
from relay.units import HZ, Unit
from tests.realtime.edge.test_edge import Everybody, now_ms
from tests.relay.hls.validator import Read, alone, between, merged, read
from tests.support.media import film, units_of
from tests.support.server import config


class Disk:
    """Tells as a recording does that each segment is on disk."""

    def __init__(self, line: Line):
        self._line = line
        self._part: Part | None = None

    def tell(self, told: Told) -> None:
        self._line.tell(told)
        if isinstance(told, Part):
            self._part = told
        elif isinstance(told, SegmentEnded) and self._part is not None:
            part = self._part
            self._line.tell(
                Stored(
                    told.msn,
                    told.start,
                    told.duration,
                    part.init,
                    part.discontinuity,
                    part.discontinuities,
                    "1.mp4",
                    0,
                    1,
                )
            )


class Watched(Struct):
    """A stream, whose units are given by hand, and who asks for it."""

    edge: EdgeServer
    parts: Parts
    units: list[Unit]
    http: httpx.AsyncClient
    token: str

    @property
    def live(self) -> Live:
        return self.edge.lives.rooms["r1"]

    def give(self, seconds: float) -> None:
        """So much of the film."""
        until = self.units[0].dts + seconds * HZ
        while self.units and self.units[0].dts < until:
            self.parts.unit(self.units.pop(0))

    async def get(self, name: str, **query: str | int) -> httpx.Response:
        return await self.http.get(name, params={"pass": self.token, **query})

    async def playlist(self, name: str = "live.m3u8", **query: str | int) -> Read:
        response = await self.get(name, **query)
        assert response.status_code == 200, response.text
        return read(response.text)

    async def told(self, whole: int) -> None:
        """Until the edge knows so many whole segments."""
        while "r1" not in self.edge.lives.rooms or self.live.window.last_whole < whole - 1:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


@asynccontextmanager
async def watched(folder: Path, seconds: float) -> AsyncIterator[Watched]:
    settings = config(folder / "data", {"GALAXY_RELAY__PROCESSES": "1"})
    units = list(units_of(film(folder / "film.mp4", seconds, size="160x90")))
    feed = Feed()
    await feed.start(unix.listen(feed_path(settings, 0)))
    began = Began("r1", "s1", "ann", now_ms(), b"k" * 32, False, "s1")
    parts = Parts(lambda: [Disk(feed.open(began))])
    async with (
        asyncio.timeout(30),
        assembled(settings, 0, now_ms, Everybody()) as edge,
        running(edge.server, bind("127.0.0.1", 0)) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}/v1/rooms/r1/hls/s1/") as http,
    ):
        token = Passes(ticket_secret(settings)).issue("r1", Bearer("bob"), now_ms())
        try:
            yield Watched(edge, parts, units, http, token)
        finally:
            parts.ended("stopped")
            await feed.close()


async def test_blocking_reload_brings_each_part_as_it_is_made_and_hints_come_true(tmp_path: Path) -> None:
    async with watched(tmp_path, 9) as stream:
        stream.give(2.6)
        await stream.told(1)
        before = await stream.playlist()
        assert alone(before) == []
        for _ in range(8):
            msn, index = stream.live.window.position
            reload = asyncio.create_task(stream.playlist(_HLS_msn=msn, _HLS_part=index))
            hinted = asyncio.create_task(stream.get(before.hints[0]["URI"]))
            while stream.edge.http.waiting < 2:  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.005)
            assert not reload.done()
            while stream.live.window.position == (msn, index):
                stream.give(0.1)
                await asyncio.sleep(0.005)
            after = await reload
            assert alone(after) == []
            assert between(before, after) == []
            part = next(one for one in after.segments if one.msn == msn).parts[index]
            assert part.uri == before.hints[0]["URI"]
            assert (await hinted).content == (await stream.get(part.uri)).content
            before = await stream.playlist()
        assert before.reports
        assert alone(await stream.playlist("audio.m3u8")) == []


async def test_a_delta_update_is_what_is_new_in_the_whole_playlist(tmp_path: Path) -> None:
    async with watched(tmp_path, 40) as stream:
        stream.give(34)
        await stream.told(16)
        before = await stream.playlist("dvr.m3u8")
        stream.give(4.2)
        await stream.told(18)
        whole = await stream.playlist("dvr.m3u8")
        delta = await stream.playlist("dvr.m3u8", _HLS_skip="YES")
        assert delta.skipped > 0
        assert alone(whole) == alone(delta) == between(before, whole) == []
        assert merged(before, delta) == whole.segments


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"_HLS_msn": "one"}, "_HLS_msn"),
        ({"_HLS_part": "1"}, "_HLS_part"),
        ({"_HLS_msn": "-1"}, "_HLS_msn"),
        ({"_HLS_msn": "1000"}, "_HLS_msn"),
        ({"_HLS_msn": "2", "_HLS_part": "100"}, "_HLS_part"),
        ({"_HLS_skip": "NO"}, "_HLS_skip"),
    ],
)
async def test_nonsense_is_answered_at_once(tmp_path: Path, query: dict[str, str], named: str) -> None:
    async with watched(tmp_path, 5) as stream:
        stream.give(2.6)
        await stream.told(1)
        refused = await stream.get("live.m3u8", **query)
        assert (refused.status_code, refused.text.split(":")[0]) == (400, named)
        assert refused.headers["cache-control"] == "no-store"


async def test_what_does_not_come_is_answered_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_http, "BLOCK_SECONDS", 0.3)
    async with watched(tmp_path, 5) as stream:
        stream.give(2.6)
        await stream.told(1)
        late = await stream.get("live.m3u8", _HLS_msn=stream.live.window.last_whole + 2)
        assert (late.status_code, late.headers["retry-after"]) == (503, "1")


async def test_keyframes_too_far_apart_end_low_latency_at_once(tmp_path: Path) -> None:
    """A playlist that had been written before stayed as it was until the next part."""
    async with watched(tmp_path, 5) as stream:
        stream.give(2.6)
        await stream.told(1)
        playlist = await stream.get("live.m3u8")
        assert "#EXT-X-PART-INF" in playlist.text
        assert playlist.headers["cache-control"].startswith("private")
        stream.live.tell(Keyframes(often=False, seconds=12.0))
        plain = await stream.get("live.m3u8")
        assert "keyframes are 12 s apart" in plain.text
        assert "#EXT-X-PART" not in plain.text


async def test_a_publisher_that_comes_back_goes_on_after_a_discontinuity(tmp_path: Path) -> None:
    async with watched(tmp_path, 12) as stream:
        stream.give(5)
        await stream.told(2)
        before = await stream.playlist()
        stream.parts.interrupted()
        stream.give(11.9)
        await stream.told(5)
        after = await stream.playlist()
        assert alone(after) == between(before, after) == []
        assert [segment.discontinuity for segment in after.segments].count(True) == 1
