"""Restarts a server's workers one after the other, again and again, under clients that talk, listen, come and go.

`python -m tests.faults.rolling --rounds 100` is the long form; it writes a dated result to `docs/proof/`.
"""

import argparse
import asyncio
import logging
import random
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from realtime.client import Client, MessageCreated, Reset, Skip
from realtime.notify import VARIABLE
from tests.faults.kill import ROOM, Seen, check, make_room, whole_log
from tests.support.peer import greeted
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import NO_LIMITS, ServerProcess, token

T = TypeVar("T")
SENDERS = 6
READERS = 4
VISITORS = 3
REST = 0.02
"""Seconds between a sender's acknowledgement and its next message: the readers' pauses are to be seen, not the load."""
SETTINGS = NO_LIMITS | {
    "GALAXY_SERVER__DRAIN_SECONDS": "5",
    "GALAXY_SERVER__RECONNECT_WITHIN_MS": "500",
    "GALAXY_STORE__WRITE_LANES": "1",
    "GALAXY_STORE__READ_CONNECTIONS": "2",
}


@dataclass
class Round:
    """One rolling restart. Pauses are the longest that anybody saw, in seconds."""

    took_s: float
    acknowledged: int
    visits: int
    heard_pause_s: float
    """Between two messages of a reader."""
    reply_pause_s: float
    """From sending to the acknowledgement."""
    visit_s: float
    """From connecting to a first reply, of somebody new."""


@dataclass
class Watch:
    """What the clients have seen since the last round's end."""

    acknowledged: dict[int, str] = field(default_factory=dict)
    visits: int = 0
    heard: float = 0.0
    reply: float = 0.0
    visit: float = 0.0

    def round(self, took_s: float, before: int) -> Round:
        done = Round(took_s, len(self.acknowledged) - before, self.visits, self.heard, self.reply, self.visit)
        self.visits, self.heard, self.reply, self.visit = 0, 0.0, 0.0, 0.0
        return done


class Manager:
    """Stands for the service manager, which is told when a restart is done."""

    def __init__(self, folder: Path):
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.setblocking(False)

    async def told(self, state: bytes) -> None:
        async with asyncio.timeout(120):
            while await asyncio.get_running_loop().sock_recv(self._socket, 100) != state:
                pass

    def close(self) -> None:
        self._socket.close()


class Grumbles(logging.Handler):
    """What the Python client logs: a connection that could not be made, an error that a server reports."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())

    def __enter__(self) -> Self:
        logger = logging.getLogger("galaxy_live.client")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("galaxy_live.client").removeHandler(self)


def client(url: str, user: str) -> Client:
    return Client(url, token=token(user), backoff_base=0.05, backoff_cap=0.5)


async def send(sender: Client, name: str, watch: Watch, ending: asyncio.Event) -> None:
    """Any error ends the test: a command with a key is to survive the connection it was sent on."""
    number = 0
    while not ending.is_set():
        text = f"{name}/{number}"
        sent = time.monotonic()
        reply = await sender.command("message.send", key=text, room=ROOM, text=text)
        watch.reply = max(watch.reply, time.monotonic() - sent)
        assert reply["pos"] not in watch.acknowledged, f"{reply['pos']} was given twice"
        watch.acknowledged[reply["pos"]] = text
        number += 1
        await asyncio.sleep(REST)


async def read(reader: Client, seen: Seen, watch: Watch, ready: asyncio.Semaphore) -> None:
    async with reader.room(ROOM) as room:
        seen.first = room.position.pos if room.position else 0
        ready.release()
        heard_at = time.monotonic()
        async for event in room.events():
            assert not isinstance(event, Skip | Reset), f"{event} in a room that hides nothing and goes on"
            if event.pos is not None:
                seen.positions.append(event.pos)
                if isinstance(event, MessageCreated) and event.message is not None:
                    seen.texts.append(event.message.text)
                    watch.heard = max(watch.heard, time.monotonic() - heard_at)
                    heard_at = time.monotonic()


async def visit(url: str, name: str, watch: Watch, ending: asyncio.Event) -> None:
    """Connects, joins and goes, on bare connections: nothing tries again. Any refusal ends the test."""
    while not ending.is_set():
        began = time.monotonic()
        async with greeted(url, token(name)) as peer:
            await peer.ok("room.join", room=ROOM)
        watch.visits += 1
        watch.visit = max(watch.visit, time.monotonic() - began)
        await asyncio.sleep(REST)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - the conditions are of plain values, which tell nobody
            await asyncio.sleep(0.01)


def workers(server: ServerProcess) -> set[int]:
    assert server.process is not None
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def restart(server: ServerProcess, manager: Manager, watch: Watch, chance: random.Random) -> Round:
    """A whole rolling restart, and what the clients saw of it."""
    await asyncio.sleep(chance.uniform(0.0, 0.5))
    assert server.process is not None
    old, before, began = workers(server), len(watch.acknowledged), time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    await manager.told(b"RELOADING=1")
    await manager.told(b"READY=1")
    new = workers(server)
    assert len(new) == len(old), f"{len(new)} workers of {len(old)}"
    assert not new & old, "some were not replaced"
    done = watch.round(time.monotonic() - began, before)
    print(done, flush=True)
    return done


async def under_load(url: str, watch: Watch, deed: Callable[[], Awaitable[T]], *, visitors: int) -> T:
    """Does something under clients, all of which stay through it. Raises AssertionError for anything lost, doubled, out
    of order or made up, and whatever error a client was shown.
    """
    ending, ready = asyncio.Event(), asyncio.Semaphore(0)
    views = [Seen() for _ in range(READERS)]
    async with AsyncExitStack() as clients, asyncio.TaskGroup() as tasks:
        readers = [await clients.enter_async_context(client(url, f"r{n}")) for n in range(READERS)]
        senders = [await clients.enter_async_context(client(url, f"s{n}")) for n in range(SENDERS)]
        listening = [tasks.create_task(read(r, s, watch, ready)) for r, s in zip(readers, views, strict=True)]
        for _ in listening:
            await ready.acquire()
        talking = [tasks.create_task(send(c, f"s{n}", watch, ending)) for n, c in enumerate(senders)]
        visiting = [tasks.create_task(visit(url, f"v{n}", watch, ending)) for n in range(visitors)]
        await until(lambda: watch.visits >= visitors and all(seen.texts for seen in views))
        watch.round(0.0, 0)  # what was before does not count
        done = await deed()
        ending.set()
        await asyncio.gather(*talking, *visiting)
        last = max(watch.acknowledged)
        await until(lambda: all(seen.positions[-1] >= last for seen in views))
        for task in listening:
            task.cancel()
    async with client(url, "s0") as anybody:
        check(await whole_log(anybody, max(watch.acknowledged, default=0)), watch.acknowledged, views)
    return done


@contextmanager
def workers_of(folder: Path, count: int, more: Mapping[str, str]) -> Iterator[ServerProcess]:
    """A server of so many workers, on PostgreSQL and Redis of their own, with the room."""
    with PostgresServer() as postgres, RedisServer() as redis:
        settings = SETTINGS | {
            "GALAXY_SERVER__WORKERS": str(count),
            "GALAXY_STORE__URL": postgres.url(postgres.new_database()),
            "GALAXY_BROKER__URL": redis.url,
        }
        with ServerProcess(folder / "data", settings | dict(more)) as server:
            yield server


async def rounds_of(folder: Path, count: int, rounds: int, seed: int) -> list[Round]:
    """`count` workers, restarted `rounds` times."""
    chance, watch = random.Random(seed), Watch()
    with closing(Manager(folder)) as manager, workers_of(folder, count, {VARIABLE: str(manager.path)}) as server:
        await make_room(server.url)

        async def restart_all() -> list[Round]:
            return [await restart(server, manager, watch, chance) for _ in range(rounds)]

        with Grumbles() as grumbles:
            done = await under_load(server.url, watch, restart_all, visitors=VISITORS)
        assert not grumbles.lines, grumbles.lines[:5]
        assert server.signal(signal.SIGTERM) == 0
        return done


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = asyncio.run(rounds_of(Path(folder), args.workers, args.rounds, args.seed))
    now = datetime.now(UTC)
    report = (
        f"# Rolling restarts under load, {now:%Y-%m-%d}\n\n"
        f"`python -m tests.faults.rolling --rounds {args.rounds} --workers {args.workers} --seed {args.seed}`: "
        f"{args.workers} workers on PostgreSQL and Redis, replaced one after the other again and again under "
        f"{SENDERS} senders, {READERS} readers and {VISITORS} who come, join and go. "
        "All clients and both servers on the same two cores.\n\n"
        "| what | result |\n|---|---|\n"
        f"| rolling restarts | {len(done)} |\n"
        f"| messages acknowledged meanwhile | {sum(one.acknowledged for one in done):,} |\n"
        "| acknowledged messages missing, doubled or moved | 0 |\n"
        "| holes in the log | 0 |\n"
        "| readers that missed, repeated or reordered an event | 0 |\n"
        f"| visits | {sum(one.visits for one in done):,} |\n"
        "| connections refused or reset, errors shown to anybody | 0 |\n"
        f"| a restart of all took, median | {_median([one.took_s for one in done]):.1f} s |\n"
        f"| longest between two messages of a reader | {_span([one.heard_pause_s for one in done])} |\n"
        f"| longest from sending to the acknowledgement | {_span([one.reply_pause_s for one in done])} |\n"
        f"| longest from connecting to having joined | {_span([one.visit_s for one in done])} |\n"
    )
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"{now:%Y-%m-%d}-rolling.md"
    path.write_text(report)
    print(report, f"\nwritten to {path}")
    return 0


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _span(longest: list[float]) -> str:
    return f"{max(longest):.2f} s (a restart's median: {_median(longest):.2f} s)"


if __name__ == "__main__":
    sys.exit(main())
