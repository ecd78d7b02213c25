"""What HAProxy does in its own way: it asks /readyz, so a gateway that drains is given no more clients."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from realtime.client import Client, MessageCreated
from tests.support.haproxy import HAProxy
from tests.support.peer import WAIT, greeted
from tests.support.postgres import PostgresServer
from tests.support.server import ServerProcess, token

SETTINGS = {"GALAXY_SERVER__DRAIN_SECONDS": "20", "GALAXY_SERVER__RECONNECT_WITHIN_MS": "19000"}


async def opened(server: ServerProcess) -> int:
    """WebSocket connections that it has ever had."""
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"{server.url}/metrics")).text
    (line,) = (line for line in shown.splitlines() if line.startswith("galaxy_websocket_opened_total "))
    return int(float(line.split()[1]))


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


async def test_a_client_moves_over_and_misses_nothing(postgres: PostgresServer, tmp_path: Path) -> None:
    store = {"GALAXY_STORE__URL": postgres.url(postgres.new_database()), "GALAXY_SERVER__RECONNECT_WITHIN_MS": "500"}
    with (
        ServerProcess(tmp_path / "one", store) as one,
        ServerProcess(tmp_path / "two", store) as two,
        HAProxy([one.port, two.port]) as proxy,
    ):
        await until_states(proxy, "UP", "UP")
        async with Client(proxy.url, token=token("ann")) as ann, asyncio.timeout(60):
            room = (await ann.command("room.create", kind="live", title="Room", visibility="public"))["room"]["id"]
            async with ann.room(room) as heard:
                old = one if await opened(one) else two
                sent = [(await heard.send("before")).pos]
                assert old.process is not None
                old.process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(old.wait) == 0
                sent += [(await heard.send("after")).pos]
                seen = []
                async for event in heard.events():
                    if isinstance(event, MessageCreated) and event.message is not None:
                        seen.append((event.pos, event.message.text))
                    if event.pos == sent[-1]:
                        break
                assert seen == list(zip(sent, ("before", "after"), strict=True))
