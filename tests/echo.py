"""`python -m tests.echo --port N`: our WebSocket layer with an echo handler, for conformance suites and by hand.

Text comes back as text, binary as binary, on any path and with whatever subprotocol is offered first.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from starlette.responses import PlainTextResponse

from realtime.gateway.binding import bind
from realtime.gateway.frames import binary_frame, text_frame
from realtime.gateway.handshake import Handshake
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import GalaxyServer, make_server, running
from realtime.gateway.websocket import Acceptor, Connection, Limits, Receiver, websocket_class
from realtime.gateway.wheel import Wheel


class Everything(Container[str]):
    """The container that holds all there is."""

    def __contains__(self, item: object) -> bool:
        return True


class Echo:
    """Sends back what comes. A peer that sends and does not read is not read from either."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def message(self, data: bytes, text: bool) -> None:
        if not self._connection.write(text_frame(data) if text else binary_frame(data)):
            self._connection.pause_reading()

    def waits(self) -> None:
        """Nobody but us writes."""

    def choked(self) -> None:
        """`write` has said so."""

    def writable(self) -> None:
        self._connection.resume_reading()

    def ending(self) -> None:
        """What is written from now on is dropped."""

    def closed(self, code: int, reason: str) -> None:
        """Nothing was kept."""


class EchoAcceptor:
    paths: Container[str] = Everything()
    subprotocols: Container[str] = Everything()

    def allows_origin(self, origin: str, host: str) -> bool:
        return True

    def accept(self, handshake: Handshake, connection: Connection) -> Receiver:
        return Echo(connection)


async def nothing_to_drain() -> None:
    """Connections are closed by the server itself."""


@asynccontextmanager
async def serving(
    acceptor: Acceptor,
    limits: Limits | None = None,
    *,
    port: int = 0,
    tick: float = 0.25,
    certificate: tuple[Path, Path] | tuple[None, None] = (None, None),
) -> AsyncIterator[GalaxyServer]:
    """Our server on 127.0.0.1, in the present loop, with `acceptor` behind its WebSocket layer.

    `tick` is the wheel's, in seconds; `certificate` the PEM files of a certificate and its key, for TLS.
    """
    wheel = Wheel(tick)
    turning = asyncio.create_task(wheel.run())
    server = make_server(
        PlainTextResponse("WebSocket here.\n"),
        ws_class=websocket_class(acceptor, wheel, limits),
        http_class=http_class(HttpLimits()),
        drain=nothing_to_drain,
        certfile=certificate[0],
        keyfile=certificate[1],
    )
    try:
        async with running(server, bind("127.0.0.1", port)):
            yield server
    finally:
        turning.cancel()


async def main(port: int, limits: Limits) -> None:
    async with serving(EchoAcceptor(), limits, port=port) as server:
        print(f"listening on 127.0.0.1:{server.port}", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9001)
    parser.add_argument("--max-message", type=int, default=65536, help="bytes of one message; above, close code 1009")
    arguments = parser.parse_args()
    uvloop.run(main(arguments.port, Limits(max_message=arguments.max_message)))
