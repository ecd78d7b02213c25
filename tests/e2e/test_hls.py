"""HLS as clients with low latency follow it: a whole server's playlists, held against the rules, reload by reload."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
from msgspec.structs import replace

from tests.relay.hls.validator import Read, alone, between, merged, read
from tests.support.live import Creator, LiveServer, creator, encoder


async def media_playlists(ana: Creator) -> dict[str, str]:
    """Name → address, as the multivariant playlist gives them."""
    index = await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")
    there = str(index.headers["location"])
    listed = (await ana.client.get(there)).text.splitlines()
    addresses = [urljoin(there, line) for line in listed if line and not line.startswith("#")]
    return {address.partition("?")[0].rpartition("/")[2]: address for address in addresses}


async def got(client: httpx.AsyncClient, address: str, **directives: Any) -> httpx.Response:
    asked = {f"_HLS_{name}": str(value) for name, value in directives.items()}
    return await client.get(httpx.URL(address).copy_merge_params(asked))


async def test_playlists_keep_the_rules_part_by_part(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                await (await ana.shown()).close()
                addresses = await media_playlists(ana)
                assert set(addresses) == {"live.m3u8", "audio.m3u8"}
                await asyncio.gather(*(followed(ana.client, address) for address in addresses.values()))


def position(playlist: Read) -> tuple[int, int]:
    """Media sequence number and index of what comes next."""
    last = playlist.segments[-1]
    return (last.msn + 1, 0) if last.uri else (last.msn, len(last.parts))


async def followed(client: httpx.AsyncClient, address: str) -> None:
    playlist, hints = read((await got(client, address)).text), 0
    assert alone(playlist) == []
    for _ in range(30):
        msn, part = position(playlist)
        (hint,) = playlist.hints
        reply, hinted = await asyncio.gather(
            got(client, address, msn=msn, part=part), client.get(urljoin(address, hint["URI"]))
        )
        assert reply.status_code == 200
        later = read(reply.text)
        assert alone(later) == between(playlist, later) == []
        assert position(later) > (msn, part)
        if any(one.uri == hint["URI"] for segment in later.segments for one in segment.parts):
            assert hinted.status_code == 200
            assert hinted.content[4:8] == b"moof"
            hints += 1
        else:  # the segment ended, which no hint can know
            assert hinted.status_code == 404
        assert len(later.reports) == 1
        playlist = later
    assert hints > 20
    whole = read((await got(client, address, msn=position(playlist)[0])).text)
    segment = next(one for one in reversed(whole.segments) if one.uri and one.parts)
    joined = [await client.get(urljoin(address, part.uri)) for part in segment.parts]
    assert (await client.get(urljoin(address, segment.uri))).content == b"".join(one.content for one in joined)


WINDOW = 26
"""Seconds: a little more than delta updates leave standing."""


async def test_segments_leave_a_full_window_while_clients_follow_by_delta_updates(tmp_path: Path) -> None:
    with LiveServer(tmp_path, {"GALAXY_RELAY__DVR_SECONDS": str(WINDOW)}) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                await (await ana.shown()).close()
                addresses = await media_playlists(ana)
                dvr = addresses["live.m3u8"].replace("/live.m3u8", "/dvr.m3u8")
                await asyncio.gather(*(emptied(ana.client, one) for one in (dvr, addresses["audio.m3u8"])))


async def emptied(client: httpx.AsyncClient, address: str) -> None:
    """Follows a playlist until segments that it began with, and some more, have gone."""
    playlist = read((await got(client, address)).text)
    first, deltas = playlist.msn, 0
    while playlist.msn < first + 5:
        msn, part = position(playlist)
        reply = await got(client, address, msn=msn, part=part, skip="YES")
        assert reply.status_code == 200
        update = read(reply.text)
        later = replace(update, segments=list(merged(playlist, update)), skipped=0)
        assert alone(update) == alone(later) == between(playlist, later) == []
        assert position(later) > (msn, part)
        if later.msn > playlist.msn:
            whole = read((await got(client, address)).text)
            assert alone(whole) == between(later, whole) == []
            assert sum(one.duration for one in whole.segments) > WINDOW - 2
            oldest = await client.get(urljoin(address, whole.segments[0].uri))
            assert oldest.status_code == 200
            assert oldest.content[4:8] == b"moof"
        deltas += update.skipped > 0
        playlist = later
    assert deltas > 10


async def test_nonsense_is_told_from_what_is_yet_to_come(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                await (await ana.shown()).close()
                address = (await media_playlists(ana))["live.m3u8"]
                msn, _ = position(read((await got(ana.client, address)).text))
                for directives in (
                    {"msn": "x"},
                    {"part": 1},
                    {"msn": msn + 20},
                    {"msn": msn, "part": 90},
                    {"skip": "NO"},
                ):
                    reply = await got(ana.client, address, **directives)
                    assert (reply.status_code, reply.headers["cache-control"]) == (400, "no-store"), directives
                forged = address.replace("pass=", "pass=x")
                assert (await got(ana.client, forged)).status_code == 401
