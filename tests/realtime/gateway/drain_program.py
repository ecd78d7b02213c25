"""A server process for the tests of SIGTERM: says on its output what it does, one word a line.

The drain lasts until a client asks for `/release`, as a drain that waits for what clients do would.
"""

import argparse
import asyncio

import uvloop
from starlette.types import Receive, Scope, Send

from realtime.gateway.binding import bind
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import GalaxyServer, make_server
from realtime.gateway.websocket import Connection, websocket_class
from realtime.gateway.wheel import Wheel
from tests.echo import EchoAcceptor
from tests.realtime.gateway.http_support import respond


class Program:
    def __init__(self, drain_seconds: float) -> None:
        self.released = asyncio.Event()
        self.wheel = Wheel(0.25)
        self.server: GalaxyServer = make_server(
            self.app,
            ws_class=websocket_class(EchoAcceptor(), self.wheel),
            http_class=http_class(HttpLimits()),
            drain=self.drain,
            drain_seconds=drain_seconds,
        )

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/readyz":
                await respond(send, b"draining" if self.server.draining else b"ready")
            case "/release":
                self.released.set()
                await respond(send, b"released")
            case "/flood":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                while True:
                    await send({"type": "http.response.body", "body": b"x" * 50_000, "more_body": True})
                    await asyncio.sleep(0)
            case "/flood-sockets":
                for connection in list(self.server.server_state.connections):
                    if isinstance(connection, Connection):
                        connection.write(b"\x81\x00" * 4_000_000)
                await respond(send, b"flooded")
            case _:
                await asyncio.Event().wait()

    async def drain(self) -> None:
        print("draining", flush=True)
        await self.released.wait()
        print("drained", flush=True)

    async def run(self) -> None:
        turning = asyncio.create_task(self.wheel.run())
        serving = asyncio.create_task(self.server.serve(bind("127.0.0.1", 0)))
        await self.server.listening.wait()
        print(self.server.port, flush=True)
        await serving
        turning.cancel()
        print("ended", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drain-seconds", type=float, required=True)
    arguments = parser.parse_args()

    async def main() -> None:
        await Program(arguments.drain_seconds).run()

    uvloop.run(main())
