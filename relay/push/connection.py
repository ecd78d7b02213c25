"""One connection to a destination: made, negotiated, written to."""

import asyncio
import os
import socket
import ssl

from relay.push.addresses import Address, Networks, resolve
from relay.push.lookups import LookUp
from relay.push.target import Target
from relay.rtmp.flv import milliseconds, write_header, write_metadata, write_unit
from relay.rtmp.link import NONCE
from relay.rtmp.publish_session import PublishSession
from relay.units import AudioConfig, Unit, VideoConfig

SEND_BUFFER = 131_072
"""Bytes that the kernel holds (it doubles this): what is held there is not seen to be stuck."""
SLICE = 32_768
"""Bytes that have to go out in `stalled_seconds`."""
_READ = 16_384

Configs = dict[str, VideoConfig | AudioConfig]


class Stalled(Exception):
    """The other side takes nothing any more."""


async def connect(target: Target, networks: Networks, look_up: LookUp, tls: ssl.SSLContext) -> "Connection":
    """To the first address that takes us, of those that are allowed; the name is not looked up a second time. With
    rtmps:// the certificate has to be valid for the name. Raises OSError, `NotAllowed`.
    """
    failed: OSError | None = None
    for address in await resolve(target.host, target.port, networks, look_up):
        try:
            return await _connect_to(address, target, tls)
        except OSError as error:
            failed = error
    raise failed or OSError("no address")


async def _connect_to(address: Address, target: Target, tls: ssl.SSLContext) -> "Connection":
    sock = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), target.port))
        context, name = (tls, target.host) if target.secure else (None, None)
        reader, writer = await asyncio.open_connection(sock=sock, limit=_READ, ssl=context, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    # So that `drain` waits until the kernel has all; with 0 a TLS transport of asyncio's never goes on.
    writer.transport.set_write_buffer_limits(1)
    return Connection(reader, writer, target)


class Connection:
    """`read` is to run beside all else: it answers pings, and raises when the other side ends it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target):
        self.sent = 0
        """Bytes given to the kernel."""
        self._reader, self._writer = reader, writer
        self._session = PublishSession(os.urandom(NONCE), target.address, target.app, target.name)
        self._base: int | None = None
        self._configs: Configs = {}

    async def negotiate(self) -> None:
        """Returns when media may be sent. Raises OSError, `Violation`, `Rejected`."""
        while not self._session.publishing:
            self._flush()
            await self._receive()

    async def read(self) -> None:
        """Raises OSError, `Violation`, `Rejected`; never returns."""
        while True:
            self._flush()
            await self._receive()

    async def send(self, unit: Unit, known: Configs, stalled_seconds: float) -> None:
        """`known` are the configs of all tracks that there are. Raises Stalled, OSError."""
        if self._base is None:
            self._base = unit.dts
        at = max(0, milliseconds(unit.dts - self._base))
        if known != self._configs:
            self._tell_configs(known, at)
        self._session.media(unit.kind == "video", at, write_unit(unit))
        await self._drain(stalled_seconds)

    async def goodbye(self, stalled_seconds: float) -> None:
        self._session.unpublish()
        await self._drain(stalled_seconds)
        self._writer.close()

    def abort(self) -> None:
        self._writer.transport.abort()

    def _tell_configs(self, known: Configs, at: int) -> None:
        video, audio = known.get("video"), known.get("audio")
        self._session.metadata(
            write_metadata(
                video if isinstance(video, VideoConfig) else None, audio if isinstance(audio, AudioConfig) else None
            )
        )
        for kind, config in known.items():
            if config != self._configs.get(kind):
                self._session.media(kind == "video", at, write_header(config))
        self._configs = dict(known)

    async def _receive(self) -> None:
        data = await self._reader.read(_READ)
        if not data:
            raise ConnectionResetError("it ended the connection")
        self._session.receive(data)

    def _flush(self) -> None:
        if output := self._session.take_output():
            self._writer.write(output)
            self.sent += len(output)

    async def _drain(self, stalled_seconds: float) -> None:
        output = memoryview(self._session.take_output())
        for at in range(0, len(output), SLICE):
            part = output[at : at + SLICE]
            self._writer.write(part)
            try:
                async with asyncio.timeout(stalled_seconds):
                    await self._writer.drain()
            except TimeoutError:
                raise Stalled(f"it took nothing for {stalled_seconds:g} s") from None
            self.sent += len(part)
