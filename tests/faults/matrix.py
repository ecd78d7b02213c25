"""Everything that nodes stand on, failing in turn under load: three nodes behind nginx, PostgreSQL, Redis.

`python -m tests.faults.matrix --rounds 20` is the long form; it writes a dated result to `docs/proof/`. It must be run
by root, as each node is on a host of its own (a network namespace), whose packets to and from Redis iptables drops; the
first node's clock is libfaketime's.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from tests.faults.crowd import PATIENCE_SECONDS, Crowd, crowd
from tests.support.cluster import NODES, Cluster
from tests.support.postgres import PostgresServer
from tests.support.server import NO_LIMITS, ServerProcess

SETTINGS = NO_LIMITS | {"GALAXY_STORE__TIMEOUT_MS": "2000"}
STALLED_SECONDS = 20.0
BRIEFLY_SECONDS = 1.0
"""A part that was killed is gone for so long, besides what its start takes."""
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class Scene:
    """The cluster, and which node of it the next fault is to hit."""

    def __init__(self, cluster: Cluster, clock: Path):
        self.cluster = cluster
        self.victim = 0
        self._clock = clock

    @property
    def node(self) -> ServerProcess:
        return self.cluster.nodes[self.victim]

    def set_clock(self, offset_seconds: int) -> None:
        """Of the first node. Returns when its clock is there."""
        new = self._clock.with_suffix(".new")
        new.write_text(f"{offset_seconds:+d}")
        new.rename(self._clock)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while abs(_clock_of(self.cluster.nodes[0]) - time.time() - offset_seconds) > 60:
            assert time.monotonic() < deadline, "the clock does not move"
            time.sleep(0.05)

    def lose(self, share: float, *, everywhere: bool) -> None:
        for host in self.cluster.hosts if everywhere else [self.cluster.hosts[self.victim]]:
            host.lose(self.cluster.redis.port, share)

    def lose_nothing(self) -> None:
        assert sum(host.lose_nothing() for host in self.cluster.hosts), "no packet was lost"

    def flush(self) -> None:
        with self.cluster.redis.client() as client:
            client.flushall()

    def throw_out(self) -> None:
        """All clients of Redis, but the one that asks for it."""
        with self.cluster.redis.client() as client:
            for kind in ("pubsub", "normal"):
                client.client_kill_filter(_type=kind, skipme=True)


def _clock_of(node: ServerProcess) -> float:
    """Seconds since the Unix epoch, as the node has it."""
    return parsedate_to_datetime(httpx.get(f"{node.url}/healthz", timeout=PATIENCE_SECONDS).headers["Date"]).timestamp()


@dataclass(frozen=True)
class Fault:
    name: str
    begin: Callable[[Scene], None]
    end: Callable[[Scene], None] = lambda scene: None
    lasting: bool = False
    """Whether it goes on for as long as a stall, or only briefly."""


FAULTS = (
    Fault("a node: `kill -9`, started again", lambda s: s.node.kill(), lambda s: s.node.start()),
    Fault("a node: `SIGSTOP`", lambda s: s.node.stall(), lambda s: s.node.resume(), lasting=True),
    Fault("Redis: `kill -9`, started again", lambda s: s.cluster.redis.kill(), lambda s: s.cluster.redis.start()),
    Fault("Redis: `SIGSTOP`", lambda s: s.cluster.redis.stall(), lambda s: s.cluster.redis.resume(), lasting=True),
    Fault("Redis: `FLUSHALL`", Scene.flush),
    Fault("Redis: `CLIENT KILL`, all", Scene.throw_out),
    Fault(
        "PostgreSQL: `kill -9`, started again",
        lambda s: s.cluster.database.kill(),
        lambda s: s.cluster.database.start(),
    ),
    Fault(
        "PostgreSQL: `SIGSTOP`",
        lambda s: s.cluster.database.stall(),
        lambda s: s.cluster.database.resume(),
        lasting=True,
    ),
    Fault(
        "30% of packets lost between a node and Redis",
        lambda s: s.lose(0.3, everywhere=False),
        Scene.lose_nothing,
        lasting=True,
    ),
    Fault(
        "30% of packets lost between all nodes and Redis",
        lambda s: s.lose(0.3, everywhere=True),
        Scene.lose_nothing,
        lasting=True,
    ),
    Fault("a node cut off from Redis", lambda s: s.lose(1.0, everywhere=False), Scene.lose_nothing, lasting=True),
    Fault("all nodes cut off from Redis", lambda s: s.lose(1.0, everywhere=True), Scene.lose_nothing, lasting=True),
    Fault("a node's clock an hour ahead, and back", lambda s: s.set_clock(3_600), lambda s: s.set_clock(0)),
    Fault("a node's clock an hour behind, and back", lambda s: s.set_clock(-3_600), lambda s: s.set_clock(0)),
)


@dataclass
class Outcome:
    """Of one fault, in seconds, an entry a time. `recovered`: from the fault's end until a new message from each node,
    in each room, was seen on each. `waits`, `crossings`: the longest until any message was acknowledged, and from the
    first client that saw one to the last.
    """

    recovered: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    crossings: list[float] = field(default_factory=list)


async def suffer(
    scene: Scene, them: Crowd, fault: Fault, outcome: Outcome, chance: random.Random, lasts: float
) -> None:
    """The fault once, at a random moment. Raises AssertionError for anything lost, doubled, out of order or stuck."""
    await asyncio.sleep(chance.uniform(0.1, 0.6))
    them.longest_wait = them.longest_crossing = 0.0
    scene.victim = chance.randrange(NODES)
    await asyncio.to_thread(fault.begin, scene)
    try:
        await asyncio.sleep(lasts if fault.lasting else BRIEFLY_SECONDS)
    finally:
        await asyncio.to_thread(fault.end, scene)
    over = time.monotonic()
    await them.crossed()
    outcome.recovered.append(time.monotonic() - over)
    await them.answered()
    await them.check()
    outcome.waits.append(them.longest_wait)
    outcome.crossings.append(them.longest_crossing)


async def rounds_of(
    folder: Path, database: PostgresServer, rounds: int, seed: int, lasts: float, faults: Sequence[Fault] = FAULTS
) -> tuple[dict[str, Outcome], int]:
    """Each fault so many times, in any order, in one life of one cluster. Returns what came of each, and how many
    messages were acknowledged.
    """
    chance = random.Random(seed)
    clock = folder / "clock"
    clock.write_text("+0")
    fake = {
        "LD_PRELOAD": FAKETIME,
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    outcomes = {fault.name: Outcome() for fault in faults}
    with Cluster(folder, database, SETTINGS, apart=True, environments=[fake, *[{}] * (NODES - 1)]) as cluster:
        scene = Scene(cluster, clock)
        async with crowd([*(node.url for node in cluster.nodes), cluster.url], chance) as them:
            await them.crossed()
            for _ in range(rounds):
                for fault in chance.sample(faults, len(faults)):
                    print(f"{datetime.now(UTC):%H:%M:%S} {fault.name}", flush=True)
                    await suffer(scene, them, fault, outcomes[fault.name], chance, lasts)
            return outcomes, them.acknowledged


def table(outcomes: dict[str, Outcome]) -> str:
    lines = [
        "| fault | times | recovered, median | longest | longest wait for `ok` | longest from first to last reader |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {len(one.recovered)} | {statistics.median(one.recovered):.2f} s | {max(one.recovered):.2f} s "
        f"| {max(one.waits):.1f} s | {max(one.crossings):.1f} s |"
        for name, one in outcomes.items()
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    parser.add_argument("--lasts", type=float, default=STALLED_SECONDS, help="seconds of a stall, a cut, a loss")
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, PostgresServer() as database:
        outcomes, acknowledged = asyncio.run(rounds_of(Path(folder), database, args.rounds, args.seed, args.lasts))
    now = datetime.now(UTC)
    report = (
        f"# Faults under load, {now:%Y-%m-%d}\n\n"
        f"`python -m tests.faults.matrix --rounds {args.rounds} --seed {args.seed} --lasts {args.lasts:g}`: "
        f"{NODES} nodes behind nginx, PostgreSQL and Redis, with senders and readers at each node and at nginx. "
        f"Stalls, losses and cuts last {args.lasts:g} s. After each fault all that was acknowledged, and all that each "
        "reader saw, was held against the log.\n\n"
        f"{acknowledged} messages acknowledged; missing, doubled or moved: 0. Readers that missed, repeated or "
        f"reordered an event: 0. Rooms that stood still: 0.\n\n{table(outcomes)}\n"
    )
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"{now:%Y-%m-%d}-faults.md"
    path.write_text(report)
    print(report, f"\nwritten to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
