"""The bench's connections to one server: subscribers as bare sockets in one process, and one publisher."""

import select
import socket
import time
from collections.abc import Callable, Sequence

from loadtest.peers.peer import HOST, PUBLISHER, Failed, Peer

AT_ONCE = 50
"""Connections that are opened at the same time; servers bound the unfinished requests of one address."""
PATIENCE = 60.0
"""Seconds without anything from a server after which it is given up."""
CHUNK = 1 << 22
"""Bytes that one read may take: more than ever waits on one connection."""


class Crowd:
    """`rooms` names what each subscriber subscribes to. Raises Failed, OSError."""

    def __init__(self, peer: Peer, rooms: Sequence[Sequence[str]]):
        self.peer = peer
        self.poll = select.epoll()
        self.buffer = bytearray(CHUNK)
        self.subscribers: list[socket.socket] = []
        self.idle = 0.0
        """Seconds in which there was nothing to read."""
        self._unsent = b""
        (self.publisher,) = self._open([PUBLISHER], [()])
        for first in range(0, len(rooms), AT_ONCE):
            wanted = rooms[first : first + AT_ONCE]
            self.subscribers += self._open([f"u{first + i}" for i in range(len(wanted))], wanted)
        for connection in (self.publisher, *self.subscribers):
            connection.setblocking(False)
            # Edge-triggered: the kernel need not look again at what has been read. One read takes all that waits, and
            # what comes later is a new edge.
            self.poll.register(connection, select.EPOLLIN | select.EPOLLET)
        self.poll.modify(self.publisher, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        self._settle()

    def close(self) -> None:
        self.poll.close()
        for connection in (self.publisher, *self.subscribers):
            connection.close()

    def publish(self, frames: bytes) -> None:
        """In one write, as far as the kernel takes it; `publisher_ready` sends the rest. Raises OSError."""
        if self._unsent:
            self._unsent += frames
            return
        self._unsent = frames
        self._write()

    def publisher_ready(self) -> None:
        """To be called when the publisher's socket is reported. Raises Failed, OSError."""
        try:
            while data := self.publisher.recv(CHUNK):
                self.peer.answered(data)
            raise Failed(f"{self.peer.title} closed the publisher's connection")
        except BlockingIOError:
            pass
        self._write()

    def ready(self, most: int = -1) -> list[tuple[int, int]]:
        """Sockets with something to read. Raises Failed where nothing comes at all.

        It never sleeps: waking it would be the server's work, several microseconds a delivery on a virtual machine, and
        only for a server that is slower than this process.
        """
        poll = self.poll.poll
        events = poll(0, most)
        if events:
            return events
        began = time.perf_counter()
        while not events:
            events = poll(0, most)
            if not events and time.perf_counter() - began > PATIENCE:
                raise Failed(f"{self.peer.title} said nothing for {PATIENCE:.0f} s while messages were on their way")
        self.idle += time.perf_counter() - began
        return events

    def closed(self) -> Failed:
        """To be raised where a subscriber's connection has ended."""
        return Failed(f"{self.peer.title} closed a subscriber's connection")

    def _write(self) -> None:
        while self._unsent:
            try:
                sent = self.publisher.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]

    def _open(self, names: Sequence[str], rooms: Sequence[Sequence[str]]) -> list[socket.socket]:
        opened = []
        for name in names:
            connection = socket.create_connection((HOST, self.peer.port), PATIENCE)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(self.peer.upgrade(name))
            opened.append(connection)
        rests = [self._until(connection, b"", lambda data: b"\r\n\r\n" in data) for connection in opened]
        heads = [rest.partition(b"\r\n\r\n")[::2] for rest in rests]
        for connection, (head, _), wanted in zip(opened, heads, rooms, strict=True):
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Failed(f"{self.peer.title} did not upgrade: {head.splitlines()[0]!r}")
            connection.sendall(self.peer.subscribe(wanted))
        for connection, (_, rest), wanted in zip(opened, heads, rooms, strict=True):
            count = len(wanted)
            self._until(connection, rest, lambda data, count=count: self.peer.subscribed(data, count))  # type: ignore[misc]  # bound now
        return opened

    def _until(self, connection: socket.socket, data: bytes, done: Callable[[bytes], bool]) -> bytes:
        """Reads until it is enough."""
        while not done(data):
            if not (more := connection.recv(65_536)):
                raise Failed(f"{self.peer.title} closed a connection after {data[-200:]!r}")
            data += more
        return data

    def _settle(self) -> None:
        """Reads off what is still being said of those who have come, until there is silence."""
        quiet = time.monotonic() + self.peer.quiet
        by_number = {connection.fileno(): connection for connection in self.subscribers}
        while (left := quiet - time.monotonic()) > 0:
            for number, _ in self.poll.poll(left):
                if number == self.publisher.fileno():
                    self.publisher_ready()
                    continue
                if not by_number[number].recv_into(self.buffer):
                    raise self.closed()
                quiet = time.monotonic() + self.peer.quiet
