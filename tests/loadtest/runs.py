"""Made-up runs of known content."""

import random
from collections.abc import Iterable

from loadtest import histograms
from loadtest.results import Failure, Run, Second


def packed(microseconds: Iterable[int]) -> str:
    histogram = histograms.empty()
    for value in microseconds:
        histogram.record_value(value)
    return histograms.pack(histogram)


def second(at: int, chance: random.Random, subscribers: int = 100) -> Second:
    sent = chance.randint(80, 120)
    return Second(
        at=at,
        connections=subscribers,
        sent=sent,
        acknowledged=sent,
        delivered=sent * subscribers,
        latencies={
            "delivery": packed(int(chance.lognormvariate(8.5, 0.5)) for _ in range(200)),
            "acknowledgement": packed(int(chance.lognormvariate(8, 0.4)) for _ in range(50)),
        },
        server={
            "cpu": chance.uniform(0.4, 0.6),
            "own_cpu": chance.uniform(0.3, 0.5),
            "rss_bytes": 120e6 + at * 10_000,
            "queue.inbox": float(chance.randint(0, 40)),
            "queue.outbox": float(chance.randint(0, 9)),
            "gateway_lagging": 1.0,
        },
    )


def run(length: int = 30, seed: int = 1, **changed: object) -> Run:
    chance = random.Random(seed)
    made = Run(
        scenario="fanout",
        url="ws://127.0.0.1:8080/v1/socket",
        started="2026-11-23T10:00:00Z",
        options={"connections": 100, "rate": 100.0, "duration": length},
        machines=[f"loader-{seed}: AMD EPYC, 2 cores, Linux 6.1"],
        seconds=[second(at, chance) for at in range(length)],
        figures={"bytes_per_connection": 2_450.0},
    )
    for name, value in changed.items():
        setattr(made, name, value)
    return made


HOLE = Failure(kind="hole", text="g.lobby: 12 follows 10")
