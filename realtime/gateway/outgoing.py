"""The writing half of a connection: straight to its socket while nothing waits, through its transport otherwise.

A transport's `write` reads the transport, its handle and its list of buffers, all of which the kernel's work for the
last connection has driven from the processor's cache, only to find that nothing waits and to write to the socket
(docs/decisions/0012). Here that is known beforehand.
"""

import asyncio
import socket
from types import TracebackType
from typing import ClassVar


class Cork:
    """Joins what is written to each of a process's connections within a `with` into one write at its end, in order.

    Holds references, no copies; for code that does not wait and writes a bounded number of times, as one that answers
    a batch of commands. May not be nested.
    """

    def __init__(self) -> None:
        self.on = False
        self._held: dict[Outgoing, list[bytes | memoryview]] = {}

    def __enter__(self) -> None:
        self.on = True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.on = False
        self.flush()

    def hold(self, connection: "Outgoing", frames: bytes | memoryview) -> None:
        held = self._held.get(connection)
        if held is None:
            self._held[connection] = [frames]
        else:
            held.append(frames)

    def flush(self) -> None:
        """Writes what is held. Also for who writes to sockets within the `with`, before they do."""
        while self._held:
            connection, frames = self._held.popitem()
            connection.write_now(frames[0] if len(frames) == 1 else b"".join(frames))


class Outgoing(asyncio.Protocol):
    """Writes in the order of the calls. All that is written to the transport comes through here.

    A direct write is allowed while the transport holds nothing: it is told to say so from the first byte that waits
    until the last has gone, and hands bytes to the kernel at once or says that they wait. TLS has none to write to.
    """

    __slots__ = ("_clear", "choked", "socket", "transport")

    cork: ClassVar[Cork]
    high_water: ClassVar[int]
    """Bytes unsent above which the connection is choked, until all have gone (TLS: all but a quarter of it)."""
    notsent_lowat: ClassVar[int]
    """Bytes unsent that the kernel takes from us; 0: as many as it likes."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.socket: socket.SocketType | None = None
        """The transport's, from the upgrade to `connection_lost`; None for TLS."""
        self.choked = False
        """Whether more than `high_water` bytes were unsent, and have not gone since."""
        self._clear = False

    @property
    def unsent(self) -> int:
        """Bytes written but not yet taken by the kernel."""
        return self.transport.get_write_buffer_size()

    def start_writing(self) -> None:
        """The transport is this connection's from now on. What was written to it before may wait there."""
        transport = self.transport
        sock = transport.get_extra_info("socket")
        if self.notsent_lowat and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self.notsent_lowat)
        if transport.get_extra_info("sslcontext") is None:
            # Of the interpreter's own type: `send` touches little memory, and less of the kernel's than `os.write`.
            self.socket = socket.SocketType(sock.family, sock.type, sock.proto, sock.fileno())
            transport.set_write_buffer_limits(high=0)
            self._clear = not self.unsent
        else:
            transport.set_write_buffer_limits(high=self.high_water)
        self.choked = self.unsent > self.high_water

    def stop_writing(self) -> None:
        """For `connection_lost`: once it has returned, the next socket may be given the same descriptor."""
        if self.socket is not None:
            self.socket.detach()  # the transport closes it
        self.socket, self._clear = None, False

    def send(self, frames: bytes | memoryview) -> None:
        """Writes, or holds, where the cork is on."""
        if self.cork.on:
            self.cork.hold(self, frames)
        else:
            self.write_now(frames)

    def write_now(self, frames: bytes | memoryview) -> None:
        """Writes uncopied, ahead of what the cork holds."""
        if self._clear and self.socket is not None:
            try:
                sent = self.socket.send(frames)
            except OSError:
                sent = 0  # The transport finds the same: it waits, or loses the connection as it always does.
            if sent == len(frames):
                return
            frames = memoryview(frames)[sent:]
        transport = self.transport
        transport.write(frames)
        if self.socket is None:
            return
        unsent = transport.get_write_buffer_size()
        if self._clear and (unsent or transport.is_closing()):
            self._clear = False
            self.waits()
        if unsent > self.high_water and not self.choked:
            self.choked = True
            self.chokes()

    def waits(self) -> None:
        """Something waits from now on: nobody may write to the socket until `drained`."""
        raise NotImplementedError

    def chokes(self) -> None:
        """`choked` has become true."""
        raise NotImplementedError

    def drained(self) -> None:
        """All that waited has gone (TLS: enough of it)."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        """The transport's call; that of a plain one says no more than `write_now` sees."""
        if self.socket is None and not self.choked:
            self.choked = True
            self.chokes()

    def resume_writing(self) -> None:
        self.choked = False
        self._clear = self.socket is not None
        self.drained()
