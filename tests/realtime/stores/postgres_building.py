"""What the tests of the store on PostgreSQL share."""

import asyncio
from collections.abc import Callable

from realtime.ports import Batch, KeyClaim, Proposal, Written
from realtime.stores.postgres import PostgresStore
from rooms import events as e
from tests.realtime.stores.building import ANN, NOW, message
from tests.support.postgres import PostgresServer

SOON_MS = 2_000
MakeStore = Callable[..., PostgresStore]


def batch(room: str, base: int, text: str = "hello", key: KeyClaim | None = None) -> Batch:
    return Batch(room, base, 0, NOW, (Proposal((message(room, base + 1, ANN, text, base),), (), key, {}, True, True),))


async def whole(store: PostgresStore, room: str, *, events: int) -> None:
    """The log is gapless, and its projections agree."""
    log = await store.events(room, after=0, to=10_000, limit=10_000)
    assert [event.pos for event in log] == list(range(1, events + 1))
    loaded = await store.load(room)
    assert loaded is not None
    assert (loaded.room.pos, loaded.room.n) == (events, sum(isinstance(x, e.MessageCreated) for x in log))


async def serves(store: PostgresStore) -> None:
    """At the first try: what was cut meanwhile is noticed before anything is written."""
    await whole(store, "r1", events=1)
    assert (await store.append(batch("r1", 1))).results == (Written({"pos": 2, "at": NOW}),)
    await whole(store, "r1", events=2)


async def nobody(server: PostgresServer, database: str, condition: str) -> None:
    """Waits until no connection meets the condition."""
    async with asyncio.timeout(20):
        those = f"datname = '{database}' AND {condition}"
        while server.execute(f"SELECT 1 FROM pg_stat_activity WHERE {those}"):  # noqa: ASYNC110, S608 - it tells nobody
            await asyncio.sleep(0.01)
