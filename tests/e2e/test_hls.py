"""HLS as clients with low latency follow it: a whole server's playlists, held against the rules, reload by reload."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from tests.support.hls import Playlist
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


async def followed(client: httpx.AsyncClient, address: str) -> None:
    playlist, hints = Playlist.read((await got(client, address)).text), 0
    for _ in range(30):
        msn, part = playlist.position
        reply, hinted = await asyncio.gather(
            got(client, address, msn=msn, part=part), client.get(urljoin(address, playlist.hint))
        )
        assert reply.status_code == 200
        later = Playlist.read(reply.text)
        if any(uri == playlist.hint for segment in later.segments for uri, _, _ in segment.parts):
            assert hinted.status_code == 200
            assert hinted.content[4:8] == b"moof"
            hints += 1
        else:  # the segment ended, which no hint can know
            assert hinted.status_code == 404
        later.follows(playlist)
        assert later.position > (msn, part), "6.2.5.2: the reply has what was asked for"
        assert len(later.reports) == 1, "4.4.5.4: a report of the other rendition"
        playlist = later
    assert hints > 20
    whole = Playlist.read((await got(client, address, msn=playlist.position[0])).text)
    whole.follows(playlist)
    segment = whole.segments[-1] if whole.segments[-1].duration is not None else whole.segments[-2]
    joined = [await client.get(urljoin(address, uri)) for uri, _, _ in segment.parts]
    assert (await client.get(urljoin(address, segment.uri))).content == b"".join(one.content for one in joined)


async def test_nonsense_is_told_from_what_is_yet_to_come(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                await (await ana.shown()).close()
                address = (await media_playlists(ana))["live.m3u8"]
                msn, _ = Playlist.read((await got(ana.client, address)).text).position
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


async def test_a_delta_update_leaves_out_what_is_old(tmp_path: Path) -> None:
    """After half a minute, when there is more than CAN-SKIP-UNTIL."""
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                await (await ana.shown()).close()
                address = (await media_playlists(ana))["live.m3u8"]
                whole = Playlist.read((await got(ana.client, address)).text)
                while sum(one.duration or 0 for one in whole.segments) < 6 * whole.target + 5:
                    whole = Playlist.read((await got(ana.client, address, msn=whole.position[0])).text)
                delta = Playlist.read((await got(ana.client, address, skip="YES")).text)
                assert delta.skipped > 0
                assert delta.media_sequence <= whole.segments[-1].msn
                delta.follows(whole)
                kept = {one.msn: one for one in whole.segments if one.duration is not None}
                assert all(one.uri == kept[one.msn].uri for one in delta.segments if one.msn in kept)
                left = sum(one.duration or 0 for one in delta.segments)
                assert left >= 6 * whole.target - 4, "6.2.5.1: nothing newer than CAN-SKIP-UNTIL is left out"
