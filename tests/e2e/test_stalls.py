"""An encoder's line that stands still for some seconds, and then brings all at once what was sent meanwhile."""

import asyncio
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin

import httpx

from relay.cmaf import VIDEO_TRACK
from relay.units import HZ
from tests.e2e.test_hls import got, media_playlists
from tests.relay.hls.validator import Read, alone, between, read
from tests.support.fragments import Sample, read_fragment
from tests.support.line import encoding
from tests.support.live import PATIENCE, LiveServer, creator

FRAME = HZ // 30
STALL_SECONDS = 3.0


async def test_what_comes_late_is_in_parts_as_long_as_it_is(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            async with encoding(ana) as line:
                live = (await media_playlists(ana))["live.m3u8"]
                line.stall()
                await asyncio.sleep(STALL_SECONDS)
                stalled = read((await got(ana.client, live)).text)
                line.resume()
                later = await grown(ana.client, live, stalled)
                await ana.until("live.started")
            held = [await pictures(ana.client, live, uri, seconds) for uri, seconds in parts_of(later)]
    assert alone(later) == between(stalled, later) == []
    assert sum(len(samples) for samples in held) > STALL_SECONDS * 30
    for before, after in pairwise(sample for samples in held for sample in samples):
        assert before.dts + before.duration == after.dts, "nothing is missing"


async def grown(client: httpx.AsyncClient, address: str, stalled: Read) -> Read:
    """The playlist once all parts of the stall, and of a second after it, must be there."""
    ends = seconds_of(stalled) + STALL_SECONDS + 1
    async with asyncio.timeout(PATIENCE):
        while True:
            later = read((await got(client, address)).text)
            if seconds_of(later) > ends:
                return later
            await asyncio.sleep(0.1)


def seconds_of(playlist: Read) -> float:
    """Of old segments the parts are not listed any more."""
    return sum(one.duration or sum(part.duration for part in one.parts) for one in playlist.segments)


def parts_of(playlist: Read) -> list[tuple[str, float]]:
    return [(part.uri, part.duration) for segment in playlist.segments for part in segment.parts]


async def pictures(client: httpx.AsyncClient, address: str, uri: str, seconds: float) -> list[Sample]:
    """Of a part, which have to last as long as the playlist says of it, give or take one."""
    samples = read_fragment((await client.get(urljoin(address, uri))).content).tracks[VIDEO_TRACK]
    assert abs(sum(sample.duration for sample in samples) - seconds * HZ) <= FRAME
    return samples
