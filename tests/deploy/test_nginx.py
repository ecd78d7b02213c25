"""What nginx does in its own way: gateways are taken out by a reload, before they drain."""

import asyncio
import signal
from pathlib import Path

from tests.support.nginx import Nginx
from tests.support.peer import greeted
from tests.support.server import ServerProcess, token


async def test_a_reload_takes_a_gateway_out_and_moves_nobody(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "one") as one,
        ServerProcess(tmp_path / "two") as two,
        Nginx([one.port]) as nginx,
    ):
        async with greeted(nginx.url, token("ann")) as ann:
            room = (await ann.ok("room.create", kind="live", title="Room", visibility="public"))["room"]["id"]
            await ann.ok("room.join", room=room)
            await asyncio.to_thread(nginx.reload, [two.port])
            await ann.ok("message.send", room=room, text="still here", key="k1")
            assert (await ann.event("message.created"))["message"]["text"] == "still here"
            async with greeted(nginx.url, token("ann")) as moved:
                assert (await moved.ok("room.list"))["rooms"] == []  # of the other gateway, whose log is its own
                assert one.process is not None
                one.process.send_signal(signal.SIGTERM)
                await ann.event("reconnect")
                await ann.ws.close()
                assert await asyncio.to_thread(one.wait) == 0
                await moved.ok("ping")
