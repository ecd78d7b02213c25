"""Kills the server at random moments under load, and holds what clients saw against the log.

`python -m tests.faults.kill --rounds 200` is the long form; it writes a dated result to `docs/proof/`.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from realtime.client import Client, MessageCreated, Skip
from tests.support.server import NO_LIMITS, ServerProcess, token

ROOM = "faults"
SENDERS = 8
READERS = 4
AFTER = 5
"""Messages that each sender still gets through after the restart."""


@dataclass
class Seen:
    """What one reader's subscription handed out."""

    first: int = 0
    positions: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass
class Round:
    """The outcome of one kill. `down_s` is from the kill to the first acknowledgement after it."""

    acknowledged: int
    down_s: float


async def round_of(url: str, victim: ServerProcess, number: int, chance: random.Random) -> Round:
    """One kill under load of what is served at the URL. Raises AssertionError for anything lost, doubled, out of order
    or made up.
    """
    acknowledged: dict[int, str] = {}
    restarted = asyncio.Event()
    first_after = asyncio.get_running_loop().create_future()

    async def send(client: Client, name: str) -> None:
        sent = after = 0
        while after < AFTER:
            text = f"{number}/{name}/{sent}"
            was_restarted = restarted.is_set()
            reply = await client.command("message.send", key=text, room=ROOM, text=text)
            assert reply["pos"] not in acknowledged, f"{reply['pos']} was given twice"
            acknowledged[reply["pos"]] = text
            sent += 1
            if was_restarted:
                after += 1
                if not first_after.done():
                    first_after.set_result(time.monotonic())

    async def read(client: Client, seen: Seen) -> None:
        """Until the last message."""
        async with client.room(ROOM) as room:
            seen.first = room.position.pos if room.position else 0
            ready.release()
            async for event in room.events():
                assert not isinstance(event, Skip), f"{event} in a room that hides nothing"
                if event.pos is not None:
                    seen.positions.append(event.pos)
                    if isinstance(event, MessageCreated) and event.message is not None:
                        seen.texts.append(event.message.text)
                        if event.message.text == last:
                            return

    last = f"{number}/last"
    ready = asyncio.Semaphore(0)
    views = [Seen() for _ in range(READERS)]
    async with asyncio.TaskGroup() as tasks, asyncio.timeout(90):
        clients = [
            await enter(url, f"{kind}{i}")
            for kind, count in (("sender", SENDERS), ("reader", READERS))
            for i in range(count)
        ]
        readers = [tasks.create_task(read(c, seen)) for c, seen in zip(clients[SENDERS:], views, strict=True)]
        for _ in readers:
            await ready.acquire()
        senders = [tasks.create_task(send(c, f"s{i}")) for i, c in enumerate(clients[:SENDERS])]
        await asyncio.sleep(chance.uniform(0.05, 1.0))
        killed_at = time.monotonic()
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
        restarted.set()
        await asyncio.gather(*senders)
        reply = await clients[0].command("message.send", key=last, room=ROOM, text=last)
        acknowledged[reply["pos"]] = last
        await asyncio.gather(*readers)
        log = await whole_log(clients[0], max(acknowledged, default=0))
        for client in clients:
            await client.__aexit__(None, None, None)
    check(log, acknowledged, views)
    return Round(len(acknowledged), first_after.result() - killed_at)


async def enter(url: str, user: str) -> Client:
    client = Client(url, token=token(user), backoff_base=0.05, backoff_cap=0.5)
    return await client.__aenter__()


async def whole_log(client: Client, to: int = 0) -> dict[int, str | None]:
    """Position → text (None for other events), of the whole room; raises where a position is missing. Waits until it
    goes as far as `to`, as one node may be behind another for some milliseconds.
    """
    log: dict[int, str | None] = {}
    after = 0
    while True:
        page = await client.command("room.events", room=ROOM, after=after, limit=200)
        for event in page["events"]:
            assert event["pos"] == after + 1, f"the log has a hole between {after} and {event['pos']}"
            after = event["pos"]
            log[after] = event["message"]["text"] if event["type"] == "message.created" else None
        if not page["more"]:
            if after >= to:
                return log
            await asyncio.sleep(0.02)


def check(log: dict[int, str | None], acknowledged: dict[int, str], views: list[Seen]) -> None:
    counts = Counter(text for text in log.values() if text is not None)
    doubled = [text for text, count in counts.items() if count > 1]
    assert not doubled, f"in the log twice: {doubled[:5]}"
    for pos, sent in acknowledged.items():
        assert log.get(pos) == sent, f"acknowledged {sent!r} at {pos}, the log has {log.get(pos)!r}"
    for seen in views:
        expected = list(range(seen.first + 1, seen.first + 1 + len(seen.positions)))
        assert seen.positions == expected, f"a reader saw {seen.positions[:5]}… after {seen.first}"
        assert seen.texts == [text for pos in seen.positions if (text := log[pos]) is not None]
        assert seen.positions[-1] >= max(acknowledged)


async def make_room(url: str) -> None:
    async with Client(url, token=token("admin", roles=["admin"])) as admin:
        await admin.command("room.create", kind="live", title="Faults", visibility="public", room=ROOM)


async def rounds_of(url: str, nodes: Sequence[ServerProcess], rounds: int, seed: int) -> list[Round]:
    """Kills one of the servers behind the URL `rounds` times, over one and the same data."""
    chance = random.Random(seed)
    await make_room(url)
    return [await round_of(url, chance.choice(nodes), number, chance) for number in range(rounds)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=time.time_ns() & 0xFFFFFFFF)
    parser.add_argument("--output", type=Path, default=Path("docs/proof"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder), NO_LIMITS) as server:
        results = asyncio.run(rounds_of(server.url, [server], args.rounds, args.seed))
    down = sorted(one.down_s for one in results)
    now = datetime.now(UTC)
    report = (
        f"# `kill -9` under load, {now:%Y-%m-%d}\n\n"
        f"`python -m tests.faults.kill --rounds {args.rounds} --seed {args.seed}`: {SENDERS} senders and {READERS} "
        "readers in one room, the server killed at a random moment and started again, each time over the same data."
        "\n\n| what | result |\n|---|---|\n"
        f"| kills | {len(results)} |\n"
        f"| messages acknowledged | {sum(one.acknowledged for one in results)} |\n"
        "| acknowledged messages missing, doubled or moved | 0 |\n"
        "| holes in the log | 0 |\n"
        "| readers that missed, repeated or reordered an event | 0 |\n"
        f"| kill to first acknowledgement, median | {down[len(down) // 2]:.2f} s |\n"
        f"| kill to first acknowledgement, longest | {down[-1]:.2f} s |\n"
    )
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / f"{now:%Y-%m-%d}-kill.md"
    path.write_text(report)
    print(report, f"\nwritten to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
