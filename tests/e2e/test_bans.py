"""A ban ends what somebody watches, by every way, or what they stream, with all that is made of it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from realtime.edge.viewers import REVOKED
from tests.relay.rtc.support import Watcher, until
from tests.support.live import PATIENCE, Creator, LiveServer, creator, encoder, parts
from tests.support.server import token
from tests.support.webrtc import publishing, watching

OVER = ("closed", "failed")


class Viewer:
    """Somebody who watches by all three ways at once."""

    def __init__(self, who: Creator, stream: ClientConnection, playlist: httpx.URL, whep: Watcher):
        self.who, self.client = who, who.client
        self.stream, self.playlist, self.whep = stream, playlist, whep

    async def listed(self, name: str = "") -> int:
        """The status of the live playlist, or of a file beside it."""
        return (await self.client.get(self.playlist.join(name) if name else self.playlist)).status_code

    async def until_listed(self, status: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.listed() != status:
                pass

    async def part(self) -> str:
        """The name of one."""
        text = (await self.client.get(self.playlist)).text
        names: list[str] = re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', text)
        return names[-1]


@asynccontextmanager
async def viewer(server: LiveServer, room: str, user: str) -> AsyncIterator[Viewer]:
    async with creator(server, user) as who:
        who.room = room
        stream = await who.shown()
        async with watching(who, user) as (whep, answer):
            assert answer.status_code == 201, answer.text
            await until(lambda: whep.frames["video"], PATIENCE)
            index = await who.client.get(f"/v1/rooms/{room}/hls/index.m3u8", follow_redirects=True)
            name = next(line for line in index.text.splitlines() if "live.m3u8" in line)
            made = Viewer(who, stream, index.url.join(name), whep)
            assert await made.listed() == 200
            yield made
        await stream.close()


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
                    await until(lambda: bob.whep.peer.connectionState in OVER, PATIENCE)
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
            await until(lambda: bob.whep.peer.connectionState in OVER, PATIENCE)
            events = (await bob.client.get(f"/v1/rooms/{ana.room}/events?limit=100")).json()["events"]
            assert [(one["type"], one.get("reason")) for one in events if one["type"].startswith("live.")] == [
                ("live.started", None),
                ("live.stopped", "banned"),
            ]
            again = await bob.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8", follow_redirects=True)
            assert again.status_code == 410
