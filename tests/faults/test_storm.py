"""Hundreds dropped at once come back together: all recover, also past a store that is slow or gone meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from realtime import ports
from realtime.stores.sqlite import SQLiteStore
from tests.support.peer import WAIT, Peer, connected, greeted
from tests.support.server import NO_LIMITS, serving, token

CLIENTS = 300
GAP = 100
SETTINGS = NO_LIMITS | {"GALAXY_LIMITS__JOINS_AT_ONCE": "16"}


@asynccontextmanager
async def crowd(url: str, count: int = CLIENTS) -> AsyncIterator[list[Peer]]:
    """So many users, greeted; half of them speak MessagePack."""
    async with AsyncExitStack() as stack:

        async def come(number: int) -> Peer:
            codec = "galaxy.v1.msgpack" if number % 2 else "galaxy.v1.json"
            return await stack.enter_async_context(greeted(url, token(f"user {number}"), codec=codec))

        yield await asyncio.gather(*map(come, range(count)))


async def make(url: str, stack: AsyncExitStack) -> tuple[Peer, str]:
    owner = await stack.enter_async_context(greeted(url, token("owner")))
    room = (await owner.ok("room.create", kind="live", title="Storm", visibility="public"))["room"]["id"]
    return owner, room


async def metric(url: str, line: str) -> float:
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"{url}/metrics")).text
    return float(next(one for one in text.splitlines() if one.startswith(line + " ")).rsplit(" ", 1)[1])


async def still(url: str) -> None:
    """Nobody is left, and nothing waits."""
    async with asyncio.timeout(WAIT):
        while await metric(url, 'galaxy_connections{kind="websocket"}'):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.02)
    for queue in ("arrivals", "joins"):
        assert await metric(url, f'galaxy_queue_depth{{queue="{queue}"}}') == 0
    assert await metric(url, "galaxy_rooms_listened") == 0


async def test_all_recover_together(tmp_path: Path) -> None:
    async with serving(tmp_path, SETTINGS) as running:
        url = running.url
        async with AsyncExitStack() as stack:
            owner, room = await make(url, stack)
            async with crowd(url) as peers:
                joined = await asyncio.gather(*(peer.ok("room.join", room=room) for peer in peers))
            since = {"epoch": joined[0]["epoch"], "pos": joined[0]["pos"]}
            for number in range(GAP):
                await owner.ok("message.send", room=room, text=f"message {number}")
            async with crowd(url) as peers:
                replies = await asyncio.gather(*(peer.ok("room.join", room=room, since=since) for peer in peers))
                last = await owner.ok("message.send", room=room, text="after")
                for peer, reply in zip(peers, replies, strict=True):
                    assert reply["recovered"]
                    assert [event["pos"] for event in reply["events"]] == list(range(since["pos"] + 1, last["pos"]))
                    assert (await peer.event("message.created"))["pos"] == last["pos"]
            assert await metric(url, "galaxy_recovery_reads_total") <= 1
        await still(url)


@pytest.mark.parametrize("how", ["slow", "gone"])
async def test_a_store_that_fails_them_is_only_a_delay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whoever cannot be let in in time is told so, and comes in once the store is back."""
    read, back = SQLiteStore.read_states, asyncio.Event()

    async def failing(store: SQLiteStore, users: Collection[str], room: str | None = None) -> Any:
        if not back.is_set():
            if how == "gone":
                raise ports.Unavailable("gone", 20)
            await back.wait()
        return await read(store, users, room)

    async with serving(tmp_path, SETTINGS | {"GALAXY_LIMITS__JOIN_WAIT_SECONDS": "1"}) as running:
        url = running.url
        async with AsyncExitStack() as stack:
            owner, room = await make(url, stack)
            await owner.ok("room.join", room=room)
            monkeypatch.setattr(SQLiteStore, "read_states", failing)

            async def come(number: int) -> int:
                """How often somebody was sent away before coming in."""
                for refusals in range(100):
                    async with connected(url, token(f"user {number}")) as peer:
                        first = await peer.receive()
                        if first["type"] == "welcome":
                            await peer.ok("room.join", room=room, since={"epoch": "another", "pos": 0})
                            return refusals
                        assert (first["type"], first["code"], first["retry"]) == ("error", "unavailable", True)
                        assert (await peer.closed())[0] == 1013
                        refused.set()
                    await asyncio.sleep(min(first["retry_after_ms"], 200) / 1_000)
                raise AssertionError("never let in")

            refused = asyncio.Event()
            coming = [asyncio.create_task(come(number)) for number in range(60)]
            await asyncio.wait_for(refused.wait(), WAIT)
            # Who is in already is served all the time.
            await owner.ok("message.send", room=room, text="still here")
            back.set()
            refusals = await asyncio.wait_for(asyncio.gather(*coming), 4 * WAIT)
            assert max(refusals) > 0
        await still(url)
