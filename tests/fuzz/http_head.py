"""Fuzz the HTTP protocol: `python -m tests.fuzz.http_head --seconds 60`, guided by coverage.

An input is read as a script: pieces of requests, sound and spoilt, and raw bytes, cut into segments at random, given
to the protocol on a transport that only records. Nothing may be raised or logged as a fault of ours, every answer is
one of the few there are, and what the protocol holds stays within its bounds.
"""

import asyncio
import re
from typing import Any, cast

from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs
from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.gateway import addresses
from realtime.gateway.addresses import parse_networks
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import GatewayHttpProtocol, http_class
from tests.fuzz import guided
from tests.fuzz.frames import Script

LIMITS = HttpLimits(head_bytes=512, body_bytes=2048, pipelined=4)
PIECES = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2049\r\n\r\n",
    b"POST /echo?token=x HTTP/1.1\r\nHost: a\r\n",
    b"GET http://a/p HTTP/1.1\r\nHost: a\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"GET /",
    b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n",
    b"Host: a\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: upgrade\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
    b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    b"X-Forwarded-For: 1.2.3.4, [::1]:80, unknown\r\n",
    b"X-Forwarded-Proto: https\r\n",
    b"X: ",
    b"\r\n",
    b"\r\n\r\n",
    b"1\r\nx\r\n",
    b"5;ext=1\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nTrailer: t\r\n\r\n",
    b"0",
    b"17",
    b"99999999999999999999",
)
ANSWERS = {b"100", b"101", b"200", b"400", b"413", b"429", b"431"}


class Transport:
    """Records what is written, and is told of its end by the protocol's own calls."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        self.written = b""
        self.closing = False
        self.ended = False
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self.peer, 1) if name in ("peername", "sockname") else default

    def write(self, data: bytes) -> None:
        assert not self.ended, "written after write_eof"
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        """What it is fed it must take: a kernel's last segment comes after a pause, too."""

    resume_reading = pause_reading

    def get_write_buffer_size(self) -> int:
        return 0

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol


class Socket:
    """Where the WebSocket protocol stands: checks that it is given a whole head first."""

    def __init__(self, **arguments: Any) -> None:
        self.head = b""
        self.release = arguments["app_state"]["peer"].release

    def connection_made(self, transport: Transport) -> None:
        """Nothing is said."""

    def data_received(self, data: bytes) -> None:
        if not self.head:
            self.head = data
            assert data.endswith(b"\r\n\r\n")
            assert data.count(b"\r\n\r\n") == 1
            assert re.search(rb"(?i)\r\nupgrade: websocket\r\n", data)

    def connection_lost(self, error: Exception | None) -> None:
        self.release()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    assert size <= LIMITS.body_bytes
    assert scope["method"] != "CONNECT"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


LOOP = asyncio.new_event_loop()
HTTP = http_class(LIMITS, parse_networks(["10.0.0.0/8"]))
CONFIG = Config(app, ws=cast(Any, Socket), log_config=None, access_log=False, proxy_headers=False, interface="asgi3")


def turn_loop() -> None:
    for _ in range(3):
        LOOP.call_soon(LOOP.stop)
        LOOP.run_forever()


def stream(script: Script) -> bytes:
    written = b""
    while script and len(written) < 8192:
        kind = script.number(len(PIECES) + 3)
        if kind < len(PIECES):
            written += PIECES[kind]
        elif kind == len(PIECES):
            written += script.take(script.number(40))
        elif kind == len(PIECES) + 1:
            written += script.take(1) * script.number(1024)
        else:
            spoilt = bytearray(PIECES[script.number(len(PIECES))])
            spoilt[script.number(len(spoilt))] ^= 1 << script.number(8)
            written += spoilt
    return written


def check_bounds(protocol: GatewayHttpProtocol, segment: int) -> None:
    assert protocol._held <= LIMITS.head_bytes
    assert len(protocol.pipeline) <= LIMITS.pipelined
    if protocol.headers is not None:
        # A pipelined head may begin anywhere in a segment, so it is held to twice its bound.
        held = sum(len(name) + len(value) for name, value in protocol.headers) + len(protocol.url)
        assert held <= 2 * LIMITS.head_bytes
    if protocol.cycle is not None:
        assert len(protocol.cycle.body) <= LIMITS.body_bytes


def run(data: bytes) -> set[bytes]:
    """The statuses that the input was answered with; 101 where it came to an upgrade."""
    script = Script(data)
    sizes = [1 + script.number(50), 1 + script.number(3000), 1 + script.number(8)]
    transport = Transport("10.0.0.1" if script.number(2) else "192.0.2.1")
    rest = stream(script)
    with capture_logs() as logs:
        protocol = HTTP(CONFIG, ServerState(), {}, LOOP)
        transport.set_protocol(protocol)
        protocol.connection_made(cast(asyncio.Transport, transport))
        turn = 0
        while rest and not transport.closing:
            segment, rest = rest[: sizes[turn % 3]], rest[sizes[turn % 3] :]
            turn += 1
            transport.protocol.data_received(segment)
            if transport.protocol is protocol:
                check_bounds(protocol, len(segment))
            turn_loop()
        transport.closing = True
        transport.protocol.connection_lost(None)
        turn_loop()
    assert not logs, logs
    answers = set(re.findall(rb"HTTP/1\.1 (\d+)", transport.written))
    if transport.protocol is not protocol:
        answers.add(b"101")
    assert answers <= ANSWERS, answers
    assert not HTTP.edge.connections
    assert not HTTP.edge.incomplete
    assert not HTTP.edge.open
    return answers


def target(data: bytes) -> None:
    run(data)


def methods() -> list[tuple[Any, str]]:
    own = [name for name, value in vars(GatewayHttpProtocol).items() if callable(value) and not name.startswith("__")]
    return [
        *((GatewayHttpProtocol, name) for name in own),
        (addresses, "client_address"),
        (addresses, "parse_address"),
    ]


if __name__ == "__main__":
    guided.run(target, methods(), __doc__)
