"""Sockets that watch and keep nothing of it, for `tests.costs.stream`."""

import secrets
import selectors
import socket
import ssl
import threading

from relay.rtmp.amf0 import decode
from relay.rtmp.chunks import COMMAND
from relay.rtmp.link import NONCE, Link

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Drain(threading.Thread):
    """Reads all sockets and keeps nothing."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = 0
        self.ended = 0
        self.going = True
        self._selector = selectors.DefaultSelector()
        self._room = bytearray(262_144)

    def add(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)

    def run(self) -> None:
        while self.going:
            for key, _ in self._selector.select(0.1):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._read(sock)

    def _read(self, sock: socket.socket) -> None:
        try:
            count = sock.recv_into(self._room)
            while count and isinstance(sock, ssl.SSLSocket) and sock.pending():
                self.bytes += count
                count = sock.recv_into(self._room)
        except ssl.SSLWantReadError:
            return
        self.bytes += count
        if not count:
            self.ended += 1
            self._selector.unregister(sock)


def watch(host: str, port: int, path: str, tls: ssl.SSLContext | None) -> socket.socket:
    """A viewer by fMP4 over WebSocket who has asked for the stream."""
    sock = socket.create_connection((host, port))
    if tls is not None:
        sock = tls.wrap_socket(sock, server_hostname=host)
    sock.sendall(REQUEST.format(path=path).encode())
    return sock


def play(host: str, port: int, app: str, name: str) -> socket.socket:
    """A player by RTMP who has asked for the stream."""
    sock = socket.create_connection((host, port))
    link = Link("client", secrets.token_bytes(NONCE))

    def until(transaction: float) -> list[object]:
        while True:
            sock.sendall(link.take_output())
            while (message := link.next_message()) is not None:
                values: list[object] = [*decode(message.data)] if message.kind == COMMAND else []
                if values[:2] == ["_result", transaction]:
                    return values
            data = sock.recv(65_536)
            assert data, "the server has ended the connection"
            link.receive(data)

    while not link.open:
        sock.sendall(link.take_output())
        link.receive(sock.recv(65_536))
    link.command("connect", 1.0, {"app": app, "tcUrl": f"rtmp://{host}:{port}/{app}"})
    until(1.0)
    link.command("createStream", 2.0, None)
    stream = until(2.0)[3]
    assert isinstance(stream, float)
    link.command("play", 3.0, None, name, stream=int(stream))
    sock.sendall(link.take_output())
    return sock
