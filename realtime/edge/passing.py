"""Viewers' sockets from a gateway to an edge process: SCM_RIGHTS over a Unix datagram socket (unix(7)), with the bytes
that were read of them already.

A datagram arrives whole or not at all, and in no connection that could break in between. Where nobody listens, or the
queue is full (the kernel's net.unix.max_dgram_qlen), who passes is told at once and keeps the socket. What an edge
process that dies has not taken from its queue is closed by the kernel: such a viewer connects again.
"""

import array
import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import structlog
from msgspec import Struct

from relay import unix

log = structlog.get_logger("realtime.edge.passing")

LONGEST = 65_536
"""Bytes of a datagram: a head of at most `[limits] head_bytes`, and what came behind it."""
A_WAKE = 64
"""Datagrams taken before the loop is let go."""
_INT = array.array("i").itemsize
_RIGHTS = 4
"""Descriptors that there is room for: one is expected, and what more comes has to be closed."""


class Passed(Struct, frozen=True, array_like=True):
    """A request for `/v1/rooms/{room}/stream` that a gateway has let in. `head`: its bytes from the request line on,
    and what was read behind them. `user` as in a `realtime.edge.passes.Pass`. `address` is the client's, for limits.
    """

    head: bytes
    room: str
    user: str
    address: str
    granted: bool = False
    until_ms: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Passed).decode


class Passer:
    """The gateway's end."""

    def __init__(self, path: Path):
        """`path`: `DATA/run/edge-N.pass`. Nobody need listen there yet."""
        self._path = path
        self._socket: socket.socket | None = None

    def hand_over(self, sock: socket.socket, passed: Passed) -> None:
        """Returns when the edge process has the socket in its queue: the caller's own is to be closed, not shut down.
        Reading must have been paused before, or bytes are lost. Raises OSError where it cannot be passed.
        """
        payload = _encode(passed)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        if self._socket is not None:
            try:
                self._socket.sendmsg([payload], rights)
            except ConnectionError:  # an edge process that has been replaced
                self.close()
            else:
                return
        self._socket = unix.connect(self._path, socket.SOCK_DGRAM)
        self._socket.sendmsg([payload], rights)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Arrivals:
    """The edge's end: `take` is given each socket, non-blocking, and is from then on the one to close it."""

    def __init__(self, path: Path, take: Callable[[Passed, socket.socket], None]):
        self._path = path
        self._take = take
        self._socket: socket.socket | None = None
        self.refused = 0
        """Datagrams that were not as they should be."""

    def __enter__(self) -> Self:
        """Within a running loop. Raises OSError."""
        self._socket = unix.listen(self._path, socket.SOCK_DGRAM)
        asyncio.get_running_loop().add_reader(self._socket, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        """What waits in the queue is closed: those viewers come again."""
        assert self._socket is not None  # noqa: S101 - entered
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        assert self._socket is not None  # noqa: S101 - entered
        for _ in range(A_WAKE):
            try:
                payload, ancillary, _, _ = self._socket.recvmsg(LONGEST, socket.CMSG_SPACE(_RIGHTS * _INT))
            except BlockingIOError:
                return
            self._arrived(payload, ancillary)

    def _arrived(self, payload: bytes, ancillary: list[tuple[int, int, bytes]]) -> None:
        descriptors = array.array("i")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % _INT])
        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        try:
            passed = _decode(payload)
            (sock,) = sockets
        except ValueError as error:  # a DecodeError is one, too
            self.refused += 1
            log.error("passed_badly", error=type(error).__name__, sockets=len(sockets))  # noqa: TRY400 - the payload may hold a ticket
            for sock in sockets:
                sock.close()
            return
        sock.setblocking(False)
        self._take(passed, sock)
