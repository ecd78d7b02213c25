"""A line of TCP that can stand still: a relay, which holds back what clients send and passes it on later."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlsplit

from tests.support.live import Creator, encoder

_READ = 65_536


class Line:
    """Listens at a `port` of its own for clients of the server at `behind`, (host, port)."""

    def __init__(self, behind: tuple[str, int]) -> None:
        self._behind = behind
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    def stall(self) -> None:
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection(*self._behind)
        for source, sink in ((reader, here), (there, writer)):
            task = asyncio.create_task(self._pass(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(_READ):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        finally:
            sink.transport.abort()


@asynccontextmanager
async def encoding(ana: Creator) -> AsyncIterator[Line]:
    """An encoder that publishes over such a line, and is shown."""
    address = urlsplit(await ana.address())
    assert address.hostname is not None
    assert address.port is not None
    async with Line((address.hostname, address.port)) as line:
        with encoder(address._replace(netloc=f"127.0.0.1:{line.port}").geturl()):
            await ana.until("live.started")
            await (await ana.shown()).close()
            yield line
