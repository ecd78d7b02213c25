"""What a hot room costs quiet rooms whose commits go another way: rooms of other lanes of PostgreSQL.

`python -m tests.costs.lanes`: one node, a message every few milliseconds to one of the quiet rooms after the other, by
turns with and without a hot room: one that is sent so much a second, or one whose row somebody else holds locked, so
that its lane stands still. Prints how long the quiet rooms' acknowledgements took.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from zlib import crc32

import httpx
import psycopg

from loadtest.client import Client
from loadtest.codec import JSON, Seen
from loadtest.waiting import holds
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess, token

LANES = 4
QUIET = 30
"""Rooms."""
EVERY_SECONDS = 0.01
"""A message to one of them."""
TEXT = "." * 120


def lane(room: str) -> int:
    return crc32(room.encode()) % LANES


class Bench:
    def __init__(self, node: ServerProcess, database: PostgresServer, name: str):
        self._node = node
        self._database = database
        self._name = name
        self.hot = ""
        self.quiet: list[str] = []
        self.quietly = self._client("ann")
        self.hotly = self._client("bob")

    def _client(self, user: str) -> Client:
        def lost(_: Client, error: Exception) -> None:
            raise error

        return Client(user, token(user), JSON, lost)

    async def open(self) -> None:
        for client in (self.quietly, self.hotly):
            await client.connect("127.0.0.1", self._node.port)
        headers = {"Authorization": f"Bearer {token('ann')}"}
        command = {"type": "room.create", "kind": "live", "visibility": "public", "title": "Lanes"}
        async with httpx.AsyncClient(base_url=self._node.url, headers=headers) as http:
            while len(self.quiet) < QUIET:
                room = json.loads((await http.post("/v1/commands", json=command)).content)["room"]["id"]
                if not self.hot:
                    self.hot = room
                elif lane(room) != lane(self.hot):
                    self.quiet.append(room)

    async def quiet_seconds(self, seconds: float) -> list[float]:
        """How long acknowledgements took, in seconds."""
        took: list[float] = []
        end = time.perf_counter() + seconds
        number = 0
        while (now := time.perf_counter()) < end:
            room = self.quiet[number % QUIET]
            self._send(self.quietly, room, lambda _, began=now: took.append(time.perf_counter() - began))  # type: ignore[misc]  # bound now
            number += 1
            await asyncio.sleep(EVERY_SECONDS)
        await holds(lambda: not self.quietly.busy, 30)
        return took

    @staticmethod
    def _send(client: Client, room: str, answered: Callable[[Seen], None]) -> None:
        client.send({"type": "message.send", "room": room, "text": TEXT}, answered)

    @asynccontextmanager
    async def flooded(self, rate: int) -> AsyncIterator[None]:
        """The hot room is sent so many messages a second."""
        stopped = False

        async def flood() -> None:
            began, sent = time.perf_counter(), 0
            while not stopped:
                due = int((time.perf_counter() - began) * rate)
                for _ in range(due - sent):
                    self._send(self.hotly, self.hot, _ignored)
                sent = due
                await asyncio.sleep(0.005)

        task = asyncio.create_task(flood())
        try:
            yield
        finally:
            stopped = True
            await task

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Somebody else holds the hot room's row, and messages wait for it."""
        connection = await psycopg.AsyncConnection.connect(self._database.url(self._name))
        async with connection:
            await connection.execute("SELECT 1 FROM rooms WHERE id = %s FOR UPDATE", (self.hot,))
            for _ in range(10):
                self._send(self.hotly, self.hot, _ignored)
            yield
            await connection.rollback()


def _ignored(_: Seen) -> None:
    pass


async def measure(rate: int, seconds: float, turns: int) -> dict[str, list[list[float]]]:
    async with AsyncExitStack() as stack:
        database = stack.enter_context(PostgresServer())
        name = database.new_database()
        settings = NO_LIMITS | {
            "GALAXY_STORE__URL": database.url(name),
            "GALAXY_STORE__WRITE_LANES": str(LANES),
            "GALAXY_STORE__TIMEOUT_MS": "60000",
        }
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        node = stack.enter_context(ServerProcess(Path(folder), settings))
        bench = Bench(node, database, name)
        await bench.open()
        await bench.quiet_seconds(seconds)
        took: dict[str, list[list[float]]] = {"alone": [], "beside a flood": [], "beside a locked room": []}
        for _ in range(turns):
            took["alone"].append(await bench.quiet_seconds(seconds))
            async with bench.flooded(rate):
                took["beside a flood"].append(await bench.quiet_seconds(seconds))
            async with bench.locked():
                took["beside a locked room"].append(await bench.quiet_seconds(seconds))
        bench.quietly.drop()
        bench.hotly.drop()
        return took


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.costs.lanes", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rate", type=int, default=1_000, help="messages a second to the hot room (1000)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn (3)")
    parser.add_argument("--turns", type=int, default=7, help="of each kind (7)")
    given = parser.parse_args()
    took = asyncio.run(measure(given.rate, given.seconds, given.turns))

    def p99(some: list[float]) -> float:
        return sorted(some)[int(0.99 * len(some))]

    for name, turns in took.items():
        ratio = median(p99(turn) / p99(alone) for turn, alone in zip(turns, took["alone"], strict=True))
        whole = [one for turn in turns for one in turn]
        print(
            f"quiet rooms {name}: {1e3 * median(whole):.2f} ms, p99 {1e3 * p99(whole):.2f} ms; "
            f"p99 of a turn {ratio:.2f} × that alone (median of {len(turns)})"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
