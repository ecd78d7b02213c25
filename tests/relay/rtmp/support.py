"""A reception that takes publishers with known keys and keeps their units; encoders to publish to it."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from relay.ports import Claim, Intake, Publisher, Reason, Refused
from relay.rtmp.ingest import RtmpSettings
from relay.rtmp.server import RtmpServer
from relay.units import Unit

KEY = "k3y"
WAIT = 30.0


async def until(condition: Callable[[], object], seconds: float = WAIT) -> None:
    """Waits for it to hold."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process, or code that knows no events
            await asyncio.sleep(0.01)


class Stream(Intake):
    """What one publisher gave."""

    def __init__(self, claim: Claim, publisher: Publisher):
        self.claim, self.publisher = claim, publisher
        self.units: list[Unit] = []
        self.reasons: list[Reason] = []

    def unit(self, unit: Unit) -> None:
        self.units.append(unit)

    def left(self, reason: Reason) -> None:
        self.reasons.append(reason)

    def track(self, kind: str) -> list[Unit]:
        return [unit for unit in self.units if unit.kind == kind]


class Admissions:
    """A Reception. What has another key than KEY is refused."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []

    async def publish(self, claim: Claim, publisher: Publisher) -> Intake:
        if claim.key != KEY:
            raise Refused("unauthorized", "No stream has this key.")
        self.streams.append(Stream(claim, publisher))
        return self.streams[-1]


class Running:
    """An RTMP server on a free port of 127.0.0.1."""

    def __init__(self, settings: RtmpSettings, tls: ssl.SSLContext | None):
        self.admissions = Admissions()
        self.server = RtmpServer(settings, self.admissions, tls)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"rtmp{'s' if tls else ''}://127.0.0.1:{self.port}/live/{KEY}"

    @property
    def streams(self) -> list[Stream]:
        return self.admissions.streams

    async def start(self) -> None:
        await self.server.listen(self._socket)


@asynccontextmanager
async def running(settings: RtmpSettings | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Running]:
    started = Running(settings or RtmpSettings(), tls)
    await started.start()
    try:
        yield started
    finally:
        await started.server.close()


FFMPEG = ("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin")
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30")
TONE = ("-f", "lavfi", "-i", "sine=sample_rate=48000")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "2", "-threads", "1")
AAC = ("-c:a", "aac", "-ar", "48000")


@asynccontextmanager
async def program(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs it; it is ended at the end, where it has not. Its standard error is a pipe."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: asyncio.subprocess.Process) -> str:
    """All that it wrote to standard error, when it has ended."""
    _, errors = await asyncio.wait_for(process.communicate(), WAIT)
    return errors.decode(errors="replace")


class Raw:
    """A peer that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    async def ended(self) -> bytes:
        """Everything until the server ends the connection, empty where it was reset."""
        try:
            return await asyncio.wait_for(self.reader.read(), WAIT)
        except ConnectionError:
            return b""


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


def nonce() -> bytes:
    return os.urandom(1528)
