"""What HAProxy does in its own way: it asks /readyz, so a gateway that drains is given no more clients."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.support.haproxy import HAProxy
from tests.support.live import LiveServer, creator, encoder
from tests.support.peer import WAIT, greeted
from tests.support.server import ServerProcess, opened, token

SETTINGS = {"GALAXY_SERVER__DRAIN_SECONDS": "20", "GALAXY_SERVER__RECONNECT_WITHIN_MS": "19000"}


async def until_states(proxy: HAProxy, *wanted: str) -> None:
    async with asyncio.timeout(WAIT):
        while proxy.states() != list(wanted):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.02)


async def test_a_draining_gateway_gets_no_new_clients_and_keeps_its_own(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "one", SETTINGS) as one,
        ServerProcess(tmp_path / "two", SETTINGS) as two,
        HAProxy([one.port, two.port]) as proxy,
    ):
        await until_states(proxy, "UP", "UP")
        async with AsyncExitStack() as stack:
            peers = [await stack.enter_async_context(greeted(proxy.url, token(f"u{n}"))) for n in range(4)]
            assert (await opened(one), await opened(two)) == (2, 2), "the fewest connections first"
            assert one.process is not None
            one.process.send_signal(signal.SIGTERM)
            await until_states(proxy, "DOWN", "UP")
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{one.url}/readyz")).status_code == 503, "it drains, it still listens"
            for number in range(5):
                async with greeted(proxy.url, token(f"new{number}")) as new:
                    await new.ok("ping")
            assert (await opened(one), await opened(two)) == (2, 7)
            for peer in peers:
                await peer.ok("ping")
        assert await asyncio.to_thread(one.wait) == 0
        await asyncio.to_thread(one.start)
        await until_states(proxy, "UP", "UP")


async def test_a_gateway_that_is_stalled_gets_no_new_clients(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path / "one") as one,
        ServerProcess(tmp_path / "two") as two,
        HAProxy([one.port, two.port]) as proxy,
    ):
        await until_states(proxy, "UP", "UP")
        assert one.process is not None
        one.process.send_signal(signal.SIGSTOP)
        await until_states(proxy, "DOWN", "UP")
        for number in range(3):
            async with greeted(proxy.url, token(f"u{number}")) as peer:
                await peer.ok("ping")
        one.process.send_signal(signal.SIGCONT)
        await until_states(proxy, "UP", "UP")
        assert (await opened(one), await opened(two)) == (0, 3)


async def test_streams_are_fetched_by_the_name_of_their_node(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await (await ana.shown()).close()
                at = urlsplit((await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")).headers["location"])
                assert at.port is not None
                with HAProxy([server.port], edge=at.port) as proxy:
                    async with httpx.AsyncClient(base_url=proxy.url) as viewer:
                        there = await viewer.get(f"{at.path}?{at.query}", headers={"Host": "edge1.example.com"})
                        assert there.status_code == 200, there.text
                        assert there.text.startswith("#EXTM3U")
                        gateway = await viewer.get(f"{at.path}?{at.query}")
                        assert gateway.status_code == 401, "a gateway knows no passes"
