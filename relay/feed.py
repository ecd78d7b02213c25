"""Parts from a media process to edge processes: each frame encoded once, and written once to each of them.

The media process listens on a Unix socket. An edge process that connects is first given what it needs of the running
streams: their init segments, the parts of the last few seconds, what is on disk. One that does not read is cut off
when MOST_UNSENT bytes wait for it, and comes again; where the media process is gone, so are its streams until it is
back.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import structlog

from relay import unix
from relay.feed_values import Began, Frame, Index, Interrupted, Over, Poster, Stored, Told, decode, encode
from relay.parts_values import LONGEST_SEGMENT, Init, Keyframes, Part, SegmentEnded
from relay.units import HZ

log = structlog.get_logger("relay.feed")

MOST_UNSENT = 64 * 1024 * 1024
LONGEST_FRAME = 64 * 1024 * 1024
KEPT_SEGMENTS = 3
"""Whole ones, beside the one that is being made, for those who come."""
MOST_INITS = 256
_PIECE = 256 * 1024


def _framed(stream: int, told: Told) -> bytes:
    frame = encode(Frame(stream, told))
    return len(frame).to_bytes(4) + frame


class Line:
    """One stream's way to the edge processes. `keep`: of what is on disk so much is told to who comes, in ticks."""

    def __init__(
        self, number: int, began: Began, keep: int, write: Callable[[bytes], None], close: Callable[[int], None]
    ):
        self._number, self._keep, self._write, self._close = number, keep, write, close
        self._began = _framed(number, began)
        self._inits: deque[bytes] = deque(maxlen=MOST_INITS)
        self._recent: deque[tuple[int, bytes]] = deque()
        self._stored: deque[Stored] = deque()
        # Of these the last alone counts.
        self._states: dict[type[Told], bytes] = {}
        self._over = False
        write(self._began)

    def tell(self, told: Told) -> None:
        """To all edge processes, in order. After `Over` nothing is told: the disk may still have something to say."""
        if self._over:
            return
        frame = _framed(self._number, told)
        if isinstance(told, Init):
            self._inits.append(frame)
        elif isinstance(told, Part | SegmentEnded):
            self._states.pop(Interrupted, None)
            self._recent.append((told.msn, frame))
            while self._recent[0][0] < told.msn - KEPT_SEGMENTS:
                self._recent.popleft()
        elif isinstance(told, Stored):
            self._stored.append(told)
            while self._stored[0].start < told.start - self._keep:
                self._stored.popleft()
        elif isinstance(told, Keyframes | Interrupted | Poster):
            self._states[type(told)] = frame
        self._write(frame)
        if isinstance(told, Over):
            self._over = True
            self._close(self._number)

    def so_far(self) -> list[bytes]:
        """For who comes now."""
        index = _framed(self._number, Index(tuple(self._stored)))
        return [self._began, *self._inits, index, *(frame for _, frame in self._recent), *self._states.values()]


class Feed:
    """The media process's end. `dvr_seconds`: how far back edge processes serve what is on disk."""

    def __init__(self, dvr_seconds: int = 0) -> None:
        self.cut_off = 0
        """Connections that did not read."""
        self._keep = max(dvr_seconds * HZ, KEPT_SEGMENTS * LONGEST_SEGMENT)
        self._lines: dict[int, Line] = {}
        self._readers: dict[asyncio.Transport, int] = {}
        # How much more than MOST_UNSENT may wait: what was given to who came, until most of it has been read.
        self._last = 0
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        """On a listening socket (`relay.unix.listen`)."""
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Reader(self), sock=sock)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for reader in tuple(self._readers):
            reader.abort()

    def open(self, began: Began) -> Line:
        self._last += 1
        line = self._lines[self._last] = Line(self._last, began, self._keep, self._write, self._close_line)
        return line

    def join(self, reader: asyncio.Transport) -> None:
        frames = [frame for line in self._lines.values() for frame in line.so_far()]
        self._readers[reader] = sum(map(len, frames))
        reader.writelines(frames)

    def leave(self, reader: asyncio.Transport) -> None:
        self._readers.pop(reader, None)

    def _close_line(self, number: int) -> None:
        del self._lines[number]

    def _write(self, frame: bytes) -> None:
        for reader in tuple(self._readers):
            reader.write(frame)
            unsent = reader.get_write_buffer_size()
            if unsent <= MOST_UNSENT:
                self._readers[reader] = 0
            elif unsent > MOST_UNSENT + self._readers[reader]:
                self.cut_off += 1
                log.error("edge_cut_off", unsent=unsent)
                del self._readers[reader]
                reader.abort()


class _Reader(asyncio.Protocol):
    """An edge process's connection: it says nothing."""

    def __init__(self, feed: Feed):
        self._feed = feed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._feed.join(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._feed.leave(self._transport)


class Hearer(Protocol):
    def hears(self, stream: int, told: Told) -> None:
        """Of one media process, in order. What is known already may come again."""

    def loses(self) -> None:
        """The connection is gone. With the next one streams begin again, with other numbers."""


class FeedReader:
    """An edge process's end: connected to one media process, again and again, also where the hearer fails."""

    DELAY = 0.2

    def __init__(self, path: Path, hearer: Hearer):
        self._path, self._hearer = path, hearer

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                sock = unix.connect(self._path)
            except OSError:
                await asyncio.sleep(self.DELAY)
                continue
            with sock:
                try:
                    await self._read(sock)
                except (ConnectionError, ValueError) as error:
                    log.error("feed_lost", error=type(error).__name__)  # noqa: TRY400 - where it broke says nothing
                except Exception:
                    log.exception("feed_not_understood")
                finally:
                    self._hearer.loses()
            await asyncio.sleep(self.DELAY)

    async def _read(self, sock: socket.socket) -> None:
        loop, received = asyncio.get_running_loop(), bytearray()
        while data := await loop.sock_recv(sock, _PIECE):
            received += data
            at = 0
            while len(received) - at >= 4:
                start, size = at + 4, int.from_bytes(received[at : at + 4])
                if size > LONGEST_FRAME:
                    raise ValueError("frame too long")
                if start + size > len(received):
                    break
                frame = decode(memoryview(received)[start : start + size])
                self._hearer.hears(frame.stream, frame.told)
                at = start + size
            del received[:at]
