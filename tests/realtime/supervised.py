"""The supervisor over small workers, as a process of its own: `python -m tests.realtime.supervised FOLDER`.

A worker answers every request with its slot and process id. Files in FOLDER say how it behaves: `fail` (it ends with 3
before it is ready), `stall` (it never is), `die-N` (in slot N it ends with 7 as soon as it is), `hold` (its drain lasts
until the file is gone).
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from starlette.types import Receive, Scope, Send

from realtime import logs, supervisor
from realtime.config import Config, Log, Relay, Server
from realtime.gateway.http_edge import HttpLimits
from realtime.gateway.http_protocol import http_class
from realtime.gateway.server import make_server
from realtime.gateway.websocket import websocket_class
from realtime.gateway.wheel import Wheel
from realtime.worker import Inherited
from tests.echo import EchoAcceptor
from tests.realtime.gateway.http_support import respond


async def work(folder: Path, inherited: Inherited) -> None:
    who = f"{inherited.slot} {os.getpid()}"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, who.encode())

    async def drain() -> None:
        while (folder / "hold").exists():  # noqa: ASYNC110 - files tell nobody
            await asyncio.sleep(0.01)

    if (folder / "fail").exists():
        sys.exit(3)
    if (folder / "stall").exists():
        await asyncio.Event().wait()
    server = make_server(
        app,
        ws_class=websocket_class(EchoAcceptor(), Wheel()),
        http_class=http_class(HttpLimits()),
        drain=drain,
        drain_seconds=600,
    )
    public, admin = inherited.sockets()
    server.also(app, admin)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(public))
        await server.listening.wait()
        attending = tasks.create_task(inherited.attend(server))
        if (folder / f"die-{inherited.slot}").exists():
            os._exit(7)
        await serving
        attending.cancel()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--admin-port", type=int, default=0)
    parser.add_argument("--ready-seconds", type=float, default=supervisor.READY_SECONDS)
    parser.add_argument("--grace-seconds", type=float, default=supervisor.GRACE_SECONDS)
    parser.add_argument("--inherited", type=Inherited.parse)
    args = parser.parse_args()
    log = Log(format="json")
    if args.inherited is not None:
        logs.setup(log)
        asyncio.run(work(args.folder, args.inherited))
        return 0
    supervisor.READY_SECONDS, supervisor.GRACE_SECONDS = args.ready_seconds, args.grace_seconds
    server = Server(port=args.port, workers=args.workers, admin_port=args.admin_port, drain_seconds=0)
    config = Config(server=server, relay=Relay(processes=0), log=log)
    return supervisor.run(config, ["-m", "tests.realtime.supervised", str(args.folder)])


if __name__ == "__main__":
    sys.exit(main())
