"""A ban ends what somebody watches, by every way, or what they stream, with all that is made of it."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from realtime.edge.viewers import REVOKED
from tests.e2e.test_media_nodes import environment
from tests.relay.rtc.support import until
from tests.support.cluster import Cluster
from tests.support.live import PATIENCE, LiveServer, creator, encoder, parts
from tests.support.postgres import PostgresServer
from tests.support.server import token
from tests.support.viewers import viewer
from tests.support.webrtc import publishing


async def until_over(client: httpx.AsyncClient, published: httpx.Response) -> None:
    """Of a session by WHIP: a candidate is taken as long as it lives."""
    headers = {"If-Match": published.headers["ETag"], "Content-Type": "application/trickle-ice-sdpfrag"}
    async with asyncio.timeout(PATIENCE):
        while (status := (await client.patch(published.headers["Location"], headers=headers)).status_code) != 404:
            assert status == 204


async def test_a_viewer_who_is_banned_watches_by_no_way(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address(), b_frames=0):
                await ana.until("live.started")
                async with viewer(server, ana.room, "bob") as bob, viewer(server, ana.room, "cid") as cid:
                    await ana.command(type="member.ban", room=ana.room, user="bob")
                    await asyncio.wait_for(bob.stream.wait_closed(), PATIENCE)
                    assert bob.stream.close_code == REVOKED
                    await bob.until_listed(403)
                    await bob.until_whep_ends()
                    seen = cid.whep.frames["video"]
                    await parts(cid.stream, 2)
                    assert await cid.listed() == 200
                    await until(lambda: cid.whep.frames["video"] > seen, PATIENCE)


@pytest.mark.parametrize("way", ["rtmp", "whip"])
async def test_a_creator_who_is_banned_streams_no_more_and_nothing_is_shown(tmp_path: Path, way: str) -> None:
    root = {"Authorization": f"Bearer {token('root', name='Root', roles=['admin'])}"}
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, AsyncExitStack() as ways:
            if way == "rtmp":
                process = ways.enter_context(encoder(await ana.address(), b_frames=0))
            else:
                published = await ways.enter_async_context(publishing(ana))
                assert published.status_code == 201, published.text
            await ana.until("live.started")
            bob = await ways.enter_async_context(viewer(server, ana.room, "bob"))
            part = await bob.part()
            assert await bob.listed(part) == 200
            await bob.who.command(type="member.join", room=ana.room)
            await ana.command(type="member.role", room=ana.room, user="bob", role="owner")
            ban = {"type": "member.ban", "room": ana.room, "user": "ana"}
            answer = await bob.client.post("/v1/commands", json=ban, headers=root)
            assert answer.status_code == 200, answer.text
            if way == "rtmp":
                await until(lambda: process.poll() is not None, PATIENCE)
            else:
                await until_over(bob.client, published)
            await asyncio.wait_for(bob.stream.wait_closed(), PATIENCE)
            await bob.until_listed(410)
            assert await bob.listed(part) == 410
            await bob.until_whep_ends()
            events = (await bob.client.get(f"/v1/rooms/{ana.room}/events?limit=100")).json()["events"]
            assert [(one["type"], one.get("reason")) for one in events if one["type"].startswith("live.")] == [
                ("live.started", None),
                ("live.stopped", "banned"),
            ]
            again = await bob.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8", follow_redirects=True)
            assert again.status_code == 410


@pytest.mark.timeout(180)
async def test_what_another_node_commands_ends_what_is_watched_and_streamed_here(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    root = {"Authorization": f"Bearer {token('root', name='Root', roles=['admin'])}"}
    environments = [environment(1, 1), environment(2, 1)]
    for each in environments:  # by an address: no resolver is asked here
        each["GALAXY_RELAY__EDGE_URL"] = f"http://127.0.0.1:{each['GALAXY_RELAY__EDGE_PORT']}"
    with Cluster(tmp_path, postgres, environments=environments) as cluster:
        here, there = cluster.nodes
        async with creator(here) as ana, httpx.AsyncClient(base_url=there.url, headers=root) as elsewhere:
            with encoder(await ana.address(), b_frames=0) as process:
                await ana.until("live.started")
                async with viewer(here, ana.room, "bob") as bob, viewer(here, ana.room, "cid") as cid:
                    ban = {"type": "member.ban", "room": ana.room, "user": "bob"}
                    assert (await elsewhere.post("/v1/commands", json=ban)).status_code == 200
                    await asyncio.wait_for(bob.stream.wait_closed(), PATIENCE)
                    assert bob.stream.close_code == REVOKED
                    await bob.until_listed(403)
                    await bob.until_whep_ends()
                    await parts(cid.stream, 2)
                    down = {"type": "live.takedown", "room": ana.room}
                    assert (await elsewhere.post("/v1/commands", json=down)).status_code == 200
                    await until(lambda: process.poll() is not None, PATIENCE)
                    await asyncio.wait_for(cid.stream.wait_closed(), PATIENCE)
                    await cid.until_listed(410)
                    await cid.until_whep_ends()
