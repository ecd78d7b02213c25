"""What an append costs on each database, in alternating pairs: the table of docs/performance.md.

    python -m tests.realtime.stores.measure

PostgreSQL is a server of its own on this machine, asked over a Unix socket.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from realtime import config
from realtime.app import SWITCH_SECONDS
from realtime.ports import Appended, Batch, KeyClaim, Proposal, Store, Written
from realtime.stores.sqlite import SQLiteStore
from rooms.actors import Actor
from tests.realtime.stores.building import NOW, message, talk
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import postgres_store

TEXT = ("the quick brown fox jumps over the lazy dog and runs away from it " * 2)[:120]
USERS = [Actor(user=f"user{i}", name=f"User {i}") for i in range(500)]
SHAPES = ((1, 1, 400), (1, 16, 200), (1, 256, 20), (256, 1, 20))
"""Rooms, messages to each in one call, calls."""


class Measured(NamedTuple):
    per_second: float
    latency_ms: float
    cpu_us: float
    """Of this process, a message: what the database's own processes take is not in it."""


async def measured(store: Store, rooms: int, messages: int, calls: int) -> Measured:
    """`append_all` again and again, each message with a key, as clients send them."""
    names = [f"room{i}" for i in range(rooms)]
    for name in names:
        await talk(store, name)
    count = 0

    def proposal(name: str, pos: int) -> Proposal:
        nonlocal count
        count += 1
        author = USERS[count * 7_919 % len(USERS)]
        key = KeyClaim(author.user, name, f"{count:026d}", b"0123456789abcdef")
        return Proposal((message(name, pos, author, TEXT, pos - 1),), (), key, {}, True, True)

    work = [
        [
            Batch(name, base, 0, NOW, tuple(proposal(name, base + 1 + i) for i in range(messages)))
            for name in names
        ]
        for base in range(1, 1 + calls * messages, messages)
    ]  # fmt: skip
    latencies = []
    cpu, began = time.process_time(), time.perf_counter()
    for batches in work:
        start = time.perf_counter()
        for appended in await store.append_all(batches):
            assert isinstance(appended, Appended)
            assert all(isinstance(result, Written) for result in appended.results)
        latencies.append(time.perf_counter() - start)
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    return Measured(count / took, median(latencies) * 1_000, cpu / count * 1e6)


async def with_sqlite(run: Callable[[Store], Awaitable[Measured]]) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        store = SQLiteStore(Path(folder) / "galaxy.db")
        await store.open()
        try:
            return await run(store)
        finally:
            await store.close()


async def with_postgres(server: PostgresServer, run: Callable[[Store], Awaitable[Measured]]) -> Measured:
    settings = config.Store()
    store = postgres_store(
        server,
        server.new_database(),
        write_lanes=settings.write_lanes,
        read_connections=settings.read_connections,
    )
    await store.open()
    try:
        return await run(store)
    finally:
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5)
    pairs: int = parser.parse_args().pairs
    sys.setswitchinterval(SWITCH_SECONDS)
    print("| a call of | SQLite: messages/s | latency, ms | CPU, µs | PostgreSQL: messages/s | latency, ms | CPU, µs |")
    print("|---|---|---|---|---|---|---|")
    with PostgresServer() as server:
        for rooms, messages, calls in SHAPES:
            taken: tuple[list[Measured], list[Measured]] = ([], [])

            async def run(store: Store, shape: tuple[int, int, int] = (rooms, messages, calls)) -> Measured:
                return await measured(store, *shape)

            for _ in range(pairs):
                taken[0].append(asyncio.run(with_sqlite(run)))
                taken[1].append(asyncio.run(with_postgres(server, run)))
            cells = [
                f"{median(x.per_second for x in some):,.0f} | {median(x.latency_ms for x in some):.2f} | "
                f"{median(x.cpu_us for x in some):.0f}"
                for some in taken
            ]
            print(f"| {messages} to {rooms} room{'s' if rooms > 1 else ''} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
