"""Somebody who watches a stream by all three ways at once."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from websockets.asyncio.client import ClientConnection

from tests.relay.rtc.support import Watcher, until
from tests.support.live import PATIENCE, Creator, Served, creator
from tests.support.webrtc import watching


class Viewer:
    """`stream` is fMP4's, `playlist` the address of HLS's live playlist."""

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

    async def until_whep_ends(self) -> None:
        await until(lambda: self.whep.peer.connectionState in ("closed", "failed"), PATIENCE)

    async def part(self) -> str:
        """The name of one."""
        text = (await self.client.get(self.playlist)).text
        names: list[str] = re.findall(r'#EXT-X-PART:.*URI="([^"]+)"', text)
        return names[-1]


@asynccontextmanager
async def viewer(server: Served, room: str, user: str) -> AsyncIterator[Viewer]:
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
