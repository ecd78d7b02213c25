"""What the log costs on PostgreSQL: its processor time, write-ahead log and disk a message, a recovery, a read mark.

`python -m tests.costs.log`: 200,000 messages of 120 characters by 500 users to 2,000 rooms, each with a key, in commits
of 1, 16 and 256 rooms by turns, on a server of its own in Debian's configuration. Then the disk is counted, table by
table with its indexes, and recoveries and read marks are measured.
"""

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator

from msgspec import Struct

from realtime.app import SWITCH_SECONDS
from realtime.ports import Appended, Batch, KeyClaim, Proposal, Written
from realtime.stores.postgres import PostgresStore
from rooms.actors import Actor
from tests.costs.engines import postgres_cpu, postgres_wal
from tests.realtime.stores.building import NOW, message, talk
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import postgres_store

USERS = [Actor(user=f"user{number}", name=f"User {number}") for number in range(500)]
WORDS = ["".join(random.Random(number).choices("abcdefghijklmnoprstuvw", k=3 + number % 8)) for number in range(20_000)]
"""Of which a few are said often, as in a language."""
SHAPES = (1, 16, 256)
"""Rooms of a commit, a message to each."""
RECOVERED = 100
"""Events of a recovery."""
TURNS = 5


class Work(Struct, frozen=True):
    """Of a turn, for each of its messages (recoveries, read marks)."""

    postgres: float
    """Microseconds of PostgreSQL's processor time."""
    own: float
    """Microseconds of this process's."""
    wal: float
    """Bytes of write-ahead log."""
    per_second: float
    """Calls, one after the other."""


class Taken(Struct, frozen=True):
    messages: int
    appends: dict[int, list[Work]]
    """By rooms a commit."""
    recoveries: list[Work]
    marks: list[Work]
    disk: dict[str, int]
    """Bytes by table, indexes and TOAST included."""


class Bench:
    def __init__(self, server: PostgresServer, database: str, store: PostgresStore, rooms: int, characters: int):
        self.server = server
        self.database = database
        self.store = store
        self._names = [f"g.{number:010}" for number in range(rooms)]
        self._pos = dict.fromkeys(self._names, 1)
        self.messages = 0
        self._characters = characters
        self._turns = itertools.cycle(self._names)
        self._random = random.Random(1)
        self._keys = itertools.count()

    async def open(self) -> None:
        for name in self._names:
            await talk(self.store, name)

    async def append(self, rooms: int, messages: int) -> Work:
        work = [[self._batch(next(self._turns)) for _ in range(rooms)] for _ in range(-(-messages // rooms))]

        async def each() -> None:
            for batches in work:
                for appended in await self.store.append_all(batches):
                    assert isinstance(appended, Appended)
                    assert all(isinstance(result, Written) for result in appended.results)

        return await self._measured(each, len(work), len(work) * rooms)

    async def recover(self, count: int) -> Work:
        """Recoveries of the last events of one room after the other."""

        async def each() -> None:
            for room in itertools.islice(self._turns, count):
                pos = self._pos[room]
                await self.store.events(room, after=max(0, pos - RECOVERED), to=pos, limit=RECOVERED)

        return await self._measured(each, count, count)

    async def mark(self, count: int) -> Work:
        """Read marks, with the states that are read after each."""

        async def each() -> None:
            for room, user in zip(itertools.islice(self._turns, count), self._users(), strict=False):
                await self.store.mark_read(user.user, room, self._pos[room])
                await self.store.read_states([user.user])

        return await self._measured(each, count, count)

    def disk(self) -> dict[str, int]:
        """Partitions count as their table."""
        rows = self.server.execute(
            "SELECT coalesce(i.inhparent, c.oid)::regclass::text, sum(pg_total_relation_size(c.oid))::bigint "
            "FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
            "WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace GROUP BY 1",
            self.database,
        )
        return {str(table): int(str(size)) for table, size in rows}

    def _batch(self, room: str) -> Batch:
        base = self._pos[room]
        self._pos[room] = base + 1
        self.messages += 1
        author = self._random.choice(USERS)
        key = KeyClaim(author.user, room, f"{next(self._keys):026d}", b"0123456789abcdef")
        event = message(room, base + 1, author, self._text(), base)
        return Batch(room, base, 0, NOW, (Proposal((event,), (), key, {}, True, True),))

    def _text(self) -> str:
        words: Iterator[str] = (WORDS[int(len(WORDS) ** self._random.random())] for _ in itertools.count())
        text = next(words)
        while len(text) < self._characters:
            text += f" {next(words)}"
        return text[: self._characters]

    def _users(self) -> Iterator[Actor]:
        while True:
            yield self._random.choice(USERS)

    async def _measured(self, run: Callable[[], Awaitable[None]], calls: int, each: int) -> Work:
        postgres, wal, own = postgres_cpu(self.server), postgres_wal(self.server), time.process_time()
        began = time.perf_counter()
        await run()
        return Work(
            per_second=calls / (time.perf_counter() - began),
            own=1e6 * (time.process_time() - own) / each,
            wal=(postgres_wal(self.server) - wal) / each,
            postgres=1e6 * (postgres_cpu(self.server) - postgres) / each,
        )


async def measure(messages: int, rooms: int, reads: int, characters: int) -> Taken:
    with PostgresServer() as server:
        database = server.new_database()
        store = postgres_store(server, database, write_lanes=4, read_connections=4)
        await store.open()
        try:
            bench = Bench(server, database, store, rooms, characters)
            await bench.open()
            appends: dict[int, list[Work]] = {shape: [] for shape in SHAPES}
            shares = {1: 0.02, 16: 0.49, 256: 0.49}  # a commit of one takes long
            for _ in range(TURNS):
                for shape in SHAPES:
                    count = max(shape, int(messages * shares[shape] / TURNS))
                    appends[shape].append(await bench.append(shape, count))
            return Taken(
                messages=bench.messages,
                appends=appends,
                disk=bench.disk(),
                recoveries=[await bench.recover(reads) for _ in range(TURNS)],
                marks=[await bench.mark(reads) for _ in range(TURNS)],
            )
        finally:
            await store.close()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.costs.log", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--messages", type=int, default=200_000, help="in all (200000)")
    parser.add_argument("--rooms", type=int, default=2_000, help="that they go to (2000)")
    parser.add_argument("--reads", type=int, default=500, help="recoveries and read marks of a turn (500)")
    parser.add_argument("--text", type=int, default=120, help="characters of a message (120)")
    given = parser.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    taken = asyncio.run(measure(given.messages, given.rooms, given.reads, given.text))
    kinds = {f"message, commits of {shape}": works for shape, works in taken.appends.items()}
    kinds |= {f"recovery of {RECOVERED} events": taken.recoveries, "read mark": taken.marks}
    for name, works in kinds.items():
        print(f"a {name}: {TURNS} turns, from least to most")
        for field in Work.__struct_fields__:
            values = sorted(getattr(work, field) for work in works)
            print(f"  {field:10} {values[0]:9,.0f} {values[len(values) // 2]:9,.0f} {values[-1]:9,.0f}")
    print(f"bytes on disk a message, of {taken.messages:,}, {given.rooms:,} rooms")
    for table, size in sorted(taken.disk.items(), key=lambda row: -row[1]):
        if size > taken.messages:
            print(f"  {table:12} {size / taken.messages:7,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
