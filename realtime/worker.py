"""What a worker process has from its supervisor: a place, sockets to listen on, and a line to each other."""

import asyncio
import signal
import socket
from contextlib import suppress
from typing import Literal, Protocol, Self

import msgspec
import structlog
from msgspec import Struct

log = structlog.get_logger("realtime")

READY = b"R"

Kind = Literal["gateway", "media", "edge"]


class Attended(Protocol):
    """A server within a worker process."""

    def yield_place(self) -> None:
        """Another process now accepts from the same sockets: accept nothing more, and drain."""

    def begin_drain(self) -> None:
        """Serve out, and end."""


class Inherited(Struct, frozen=True):
    """Descriptors, handed over on the command line. `line` is one end of a socket: the worker says READY there once it
    accepts connections, and hears by its end that the supervisor is gone. `udp`: of media processes.
    """

    slot: int
    line: int
    public: tuple[int, ...]
    admin: tuple[int, ...]
    kind: Kind = "gateway"
    udp: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises msgspec.DecodeError."""
        return msgspec.json.decode(text, type=cls)

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (self.line, *self.public, *self.admin, *self.udp)

    def sockets(self) -> tuple[list[socket.socket], list[socket.socket]]:
        """To listen on: for clients, and for who looks after the server. To be called once."""
        return [socket.socket(fileno=fd) for fd in self.public], [socket.socket(fileno=fd) for fd in self.admin]

    def udp_socket(self) -> socket.socket:
        """Of a media process. To be called once."""
        (fd,) = self.udp
        return socket.socket(fileno=fd)

    async def attend(self, server: Attended) -> None:
        """Says READY, and has the server drain when another has taken its place (SIGUSR1) or the supervisor has gone.
        Returns in the latter case.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, server.yield_place)
        with socket.socket(fileno=self.line) as line:
            line.setblocking(False)
            with suppress(ConnectionError):  # it went without having read what it was told
                line.send(READY)
                await loop.sock_recv(line, 1)
        log.warning("supervisor_gone")
        server.begin_drain()
