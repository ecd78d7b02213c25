"""Viewers who look at every flash and beep of what they are shown, as it comes."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import urljoin

import httpx
import m3u8
from websockets.exceptions import ConnectionClosed

from tests.support.live import Creator
from tests.support.onsets import Onsets, Pieces, onsets_of

RELOAD_SECONDS = 1.0
THREADS = 8


class Look:
    """At fragmented MP4 that comes: in threads, with another decoder for each init segment."""

    threads = ThreadPoolExecutor(THREADS, "look")

    def __init__(self, *, keyframes: bool):
        self._keyframes = keyframes
        self._pieces: Pieces | None = None
        self._found: list[asyncio.Future[Onsets]] = []

    @property
    def inits(self) -> int:
        return len(self._found)

    async def init(self, data: bytes) -> None:
        await self.end()
        self._pieces = pieces = Pieces()
        look = partial(onsets_of, pieces, keyframes=self._keyframes)
        self._found.append(asyncio.get_running_loop().run_in_executor(self.threads, look))
        await self.data(data)

    async def data(self, data: bytes) -> None:
        assert self._pieces is not None
        await asyncio.to_thread(self._pieces.write, data)

    async def end(self) -> None:
        if self._pieces is not None:
            await self.data(b"")
            self._pieces = None

    async def found(self) -> list[Onsets]:
        return list(await asyncio.gather(*self._found))


async def by_fmp4(ana: Creator, look: Look) -> str:
    """Until the stream ends; what has come in all."""
    await (await ana.shown()).close()
    viewer = await ana.watch()
    parts, init = 0, False
    try:
        async for message in viewer:
            if isinstance(message, str):
                init = json.loads(message)["type"] == "init"
            elif init:
                init = False
                await look.init(message)
            else:
                parts += 1
                await look.data(message)
    except ConnectionClosed:
        pass  # the stream is over
    finally:
        await look.end()
        await viewer.close()
    return f"{parts:,} parts"


async def by_hls(ana: Creator, path: str, look: Look) -> str:
    """Every segment of a live playlist or a recording's, to its end; what has come in all."""
    map_uri, last, segments, gaps = "", -1, 0, 0
    try:
        async with httpx.AsyncClient() as client:
            while True:
                media = await playlist(client, await edge(ana, path))
                for number, segment in enumerate(media.segments, media.media_sequence or 0):
                    if not segment.uri or number <= last:
                        continue
                    assert number == last + 1 or not segments, f"segment {last + 1} has gone unseen"
                    assert segment.init_section is not None
                    if segment.init_section.absolute_uri != map_uri:
                        map_uri = segment.init_section.absolute_uri
                        await look.init(await got(client, map_uri))
                    await look.data(await got(client, segment.absolute_uri))
                    last, segments, gaps = number, segments + 1, gaps + bool(segment.discontinuity)
                if media.is_endlist:
                    return f"{segments} segments, {gaps} discontinuities"
                await asyncio.sleep(RELOAD_SECONDS)
    finally:
        await look.end()


async def edge(ana: Creator, path: str) -> str:
    """The address there, with a pass."""
    return (await ana.client.get(path)).headers["location"]


async def got(client: httpx.AsyncClient, address: str) -> bytes:
    answer = await client.get(address)
    assert answer.status_code == 200, f"{address}: {answer.status_code}"
    return answer.content


async def playlist(client: httpx.AsyncClient, address: str) -> m3u8.M3U8:
    """The media playlist, as the m3u8 package reads it."""
    index = m3u8.loads((await got(client, address)).decode(), address)
    if not index.is_variant:
        return index
    media = urljoin(address, index.playlists[0].uri)
    return m3u8.loads((await got(client, media)).decode(), media)
