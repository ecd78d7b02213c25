"""One encoder's RTMP connection: from its first byte to what its stream is given."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, Literal

import structlog
from msgspec import Struct

from relay.ports import TEXTS, Claim, Intake, Reason, Received, Reception, Refused
from relay.rate import BYTES_OF_KBIT, RateLimit
from relay.rtmp.errors import Unsupported, Violation
from relay.rtmp.server_session import Event, Media, Publish, ServerSession, Unpublish
from relay.rtmp.tags import TagReader

log = structlog.get_logger("relay.rtmp")

APP = "live"
READ = 65_536
"""Bytes read at once, and held while a gateway is asked whether the publisher is let in (twice that)."""
UNSENT = 65_536
"""Bytes that the encoder may leave unread; we have little to say."""

_LINGERED = 1 << 22
"""Bytes that are read and thrown away while a publisher is told why it is closed."""
_DENIED: Final = frozenset({"unauthorized", "forbidden", "not_found"})
_RTT = 68
"""Where `tcpi_rtt` (microseconds) stands in Linux's `struct tcp_info`."""


class RtmpSettings(Struct, frozen=True):
    """`max_kbit` is averaged over five seconds. `half_open`: connections that do not publish yet; beyond that the
    oldest is closed, and beyond `half_open_per_address` (of IPv6, per /64) the newest is.
    """

    max_kbit: int = 12_000
    max_pixels: int = 2_073_600
    publish_seconds: float = 10.0
    idle_seconds: float = 7.0
    linger_seconds: float = 2.0
    half_open: int = 256
    half_open_per_address: int = 16


class Ended(Struct, frozen=True):
    """How a connection ended. `detail` is for the log; `text` for the person at the encoder, empty where nothing is to
    be said. `gone`: nobody is there to hear it.
    """

    reason: Reason
    detail: str
    text: str = ""
    code: str = "NetStream.Publish.Rejected"
    gone: bool = False


class Ingest:
    """A `relay.ports.Publisher`. `published` is called when it is let in.

    An encoder that does not publish in time, sends no media for `idle_seconds`, breaks the protocol or sends what is
    not taken is closed, and its stream told so; so is the encoder, as far as it listens.
    """

    kind: Literal["whip", "rtmp"] = "rtmp"

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        address: str,
        nonce: bytes,
        settings: RtmpSettings,
        reception: Reception,
        published: Callable[[], None],
    ):
        self._reader, self._writer = reader, writer
        self._address, self._settings, self._reception = address, settings, reception
        self._session = ServerSession(nonce)
        self._published = published
        self._deadline: asyncio.Timeout | None = None
        self._intake: Intake | None = None
        self._closed: Reason | None = None
        self._told = False
        self._limit: RateLimit | None = None

    async def run(self, tls: ssl.SSLContext | None) -> Ended:
        """Serves the connection until it has ended."""
        try:
            ended = await self._serve(tls)
            self._deadline = None
            self._tell_left(ended.reason)
            if not ended.gone:
                await self._part(ended)
        finally:
            self._tell_left("failed")
            self._writer.transport.abort()
        return ended

    def _tell_left(self, reason: Reason) -> None:
        """Whatever happens, and once."""
        if self._intake is not None and not self._told:
            self._told = True
            self._intake.left(reason)

    def ask_keyframe(self) -> None:
        """RTMP has no word for it."""

    def close(self, reason: Reason) -> None:
        self._told = True
        self._end(reason)

    def leave(self) -> None:
        """The server stops: the stream is told by us."""
        self._end("leaving")

    def received(self) -> Received:
        connection: socket.socket = self._writer.get_extra_info("socket")
        info = b"" if connection.fileno() < 0 else connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT + 4)
        microseconds = struct.unpack_from("I", info, _RTT)[0] if len(info) == _RTT + 4 else None
        return Received(self._session.received, round_trip_ms=microseconds and microseconds / 1_000)

    def abort(self) -> None:
        """Ends the connection without a word."""
        self._writer.transport.abort()

    def _end(self, reason: Reason) -> None:
        if self._closed is None:
            self._closed = reason
            if self._deadline is not None and not self._deadline.expired():
                self._deadline.reschedule(0)

    async def _serve(self, tls: ssl.SSLContext | None) -> Ended:
        try:
            await self._publish(tls)
        except Refused as refused:
            denied = "Denied" if refused.code in _DENIED else "Rejected"
            return Ended("refused", f"refused: {refused.code}", str(refused), f"NetStream.Publish.{denied}")
        except Unsupported as unsupported:
            return Ended("refused", f"unsupported: {unsupported}", f"{unsupported}.")
        except Violation as violation:
            return Ended("failed", f"malformed: {violation}", f"Malformed RTMP: {violation}.")
        except TimeoutError:
            if self._closed is not None:
                return Ended(self._closed, "closed", TEXTS.get(self._closed, ""))
            if self._intake is None:
                return Ended("gone", "did not publish in time", gone=True)
            return Ended("gone", "idle", "No audio or video came for some time.")
        except OSError as error:  # of the connection, TLS's among them
            return Ended("gone", f"connection lost: {type(error).__name__}", gone=True)
        return Ended("gone", "unpublished")

    async def _publish(self, tls: ssl.SSLContext | None) -> None:
        """Returns when the encoder says goodbye. Raises what `_serve` has arms for."""
        async with asyncio.timeout(self._settings.publish_seconds) as self._deadline:
            if tls is not None:
                await self._writer.start_tls(tls)
            wanted = await self._next_event()
            while not isinstance(wanted, Publish):
                wanted = await self._next_event()
        self._deadline = None
        if wanted.app != APP:
            raise Refused("not_found", f"Streams go to rtmp://HOST/{APP}, with the stream key.")
        self._intake = await self._reception.publish(Claim("rtmp", self._address, wanted.name), self)
        async with asyncio.timeout(self._settings.idle_seconds) as self._deadline:
            if self._closed is not None:
                raise TimeoutError
            self._published()
            self._session.accept()
            self._flush()
            await self._take(self._intake, self._deadline)

    async def _take(self, intake: Intake, deadline: asyncio.Timeout) -> None:
        clock = asyncio.get_running_loop().time
        tags = TagReader(self._settings.max_pixels)
        self._limit = RateLimit(self._settings.max_kbit * BYTES_OF_KBIT, self._session.weight, clock())
        while not isinstance(event := await self._next_event(), Unpublish):
            if not isinstance(event, Media):
                continue
            unit = tags.read(event.video, event.timestamp, event.data)
            if unit is not None:
                intake.unit(unit)
            if self._closed is not None:
                raise TimeoutError
            deadline.reschedule(clock() + self._settings.idle_seconds)

    async def _next_event(self) -> Event:
        """Raises Violation, Unsupported above the bitrate, and ConnectionError at the end of the connection."""
        clock = asyncio.get_running_loop().time
        while (event := self._session.next_event()) is None:
            self._flush()
            if self._limit is not None and not self._limit.allows(self._session.weight, clock()):
                raise Unsupported(f"more than {self._settings.max_kbit} kbit/s: set the encoder to a lower bitrate")
            data = await self._reader.read(READ)
            if not data:
                raise ConnectionError("ended by the encoder")
            self._session.receive(data)
        return event

    def _flush(self) -> None:
        if output := self._session.take_output():
            self._writer.write(output)
            if self._writer.transport.get_write_buffer_size() > UNSENT:
                raise Violation("the encoder does not read what it is sent")

    async def _part(self, ended: Ended) -> None:
        """Tells the encoder why, and reads on for a moment: closed at once with data unread, it would be reset, and the
        encoder never see it. One that said goodbye closes by itself.
        """
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(self._settings.linger_seconds):
                if ended.text:
                    self._session.refuse(ended.code, ended.text)
                    self._writer.write(self._session.take_output())
                    if self._writer.can_write_eof():
                        self._writer.write_eof()
                left = _LINGERED
                while left > 0 and (data := await self._reader.read(READ)):
                    left -= len(data)
