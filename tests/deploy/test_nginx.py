"""What nginx does in its own way: gateways are taken out by a reload, before they drain; segments are kept for all."""

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect

from tests.support.live import PATIENCE, LiveServer, creator, encoder, parts
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


async def test_what_is_live_is_fetched_once_and_playlists_by_each(tmp_path: Path) -> None:
    settings = {"GALAXY_SERVER__TRUSTED_PROXIES": "127.0.0.1"}
    with LiveServer(tmp_path, settings) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await (await ana.shown()).close()
                told = (await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")).headers["location"]
                at = urlsplit(told)
                assert at.port is not None
                with Nginx([server.port], edge=at.port) as nginx:
                    async with httpx.AsyncClient(
                        base_url=nginx.url, headers={"Host": "edge1.example.com"}, timeout=PATIENCE
                    ) as viewer:
                        index = await viewer.get(f"{at.path}?{at.query}")
                        assert index.status_code == 200, index.text
                        (playlist, *_) = (line for line in index.text.splitlines() if ".m3u8" in line)
                        folder = at.path.rpartition("/")[0]
                        listed = await viewer.get(f"{folder}/{playlist}")
                        assert "x-cache" not in listed.headers
                        name = listed.text.rpartition('EXT-X-MAP:URI="')[2].partition('"')[0]
                        path = str(listed.url.copy_with(query=None).join(name).raw_path, "ascii")
                        first, again = [await viewer.get(f"{path}?viewer={n}") for n in range(2)]
                        assert (first.status_code, first.headers["x-cache"]) == (200, "MISS")
                        assert (again.status_code, again.headers["x-cache"]) == (200, "HIT")
                        assert first.content == again.content
                        assert (await viewer.get("/metrics")).status_code == 404
                    # By the gateway, which passes nginx's connection to the edge.
                    url = nginx.url.replace("http", "ws", 1)
                    headers = {"Authorization": ana.client.headers["Authorization"]}
                    async with connect(
                        f"{url}/v1/rooms/{ana.room}/stream", additional_headers=headers, max_size=None
                    ) as stream:
                        assert len(await parts(stream, 3)) > 3
