"""What it costs that a message crosses to other nodes: processor time of the node that it was sent to, of those that
hear of it, of Redis and of PostgreSQL, and the bytes that Redis receives and sends.

`python -m tests.costs.envelopes --window 64 --rooms 64`: one node alone, one on Redis that nobody hears, and one with
one, two and four others; bursts of so many messages to the first, by turns to each room, to so many listeners of all
the rooms on each node. In turns, so that whatever else the machine does concerns all.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path

from msgspec import Struct

from loadtest.files import allow_many
from loadtest.processes import cpu_seconds, family
from loadtest.wire import TEXT, masked
from tests.costs.engines import RedisWork, postgres_cpu
from tests.costs.nodes import QUIET, WARM_UP, Listeners, new_rooms
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import NO_LIMITS, ServerProcess


class Turn(Struct, frozen=True):
    """Of one turn's messages, each: microseconds of processor time, bytes."""

    sender: float
    """The node that it was sent to, its own listeners included."""
    receiver: float
    """Each of the others, likewise; 0 where there is none."""
    postgres: float
    redis: float
    redis_received: float
    redis_sent: float
    envelopes: float
    """How many there were to a message."""


class Case:
    """Nodes with a database and a Redis of their own, or, with `others` None, one node without Redis."""

    def __init__(self, stack: ExitStack, postgres: PostgresServer, others: int | None, rooms: int, listeners: int):
        self.others = others
        self.turns: list[Turn] = []
        self._postgres = postgres
        self._redis = stack.enter_context(RedisServer())
        environment = NO_LIMITS | QUIET | {"GALAXY_STORE__URL": postgres.url(postgres.new_database())}
        if others is not None:
            environment["GALAXY_BROKER__URL"] = self._redis.url
        nodes = [
            stack.enter_context(ServerProcess(Path(stack.enter_context(tempfile.TemporaryDirectory())), environment))
            for _ in range(1 + (others or 0))
        ]
        self._pids = [family(node.process.pid) for node in nodes if node.process is not None]
        self._rooms = new_rooms(nodes[0], rooms)
        self._listeners = Listeners(nodes, self._rooms, listeners * len(nodes), 1)
        stack.callback(self._listeners.close)

    def turn(self, window: int, bursts: int, *, marks: bool) -> None:
        nodes, postgres, redis = self._cpu(), postgres_cpu(self._postgres), RedisWork.of(self._redis)
        for _ in range(bursts):
            if marks:
                self._mark(window)
            else:
                self._listeners.burst(window)
        if marks and self.others is not None:
            self._until_told(redis.envelopes)
        spent = [after - before for before, after in zip(nodes, self._cpu(), strict=True)]
        after = RedisWork.of(self._redis)
        messages = window * bursts
        self.turns.append(
            Turn(
                sender=1e6 * spent[0] / messages,
                receiver=1e6 * sum(spent[1:]) / messages / max(1, len(spent) - 1),
                postgres=1e6 * (postgres_cpu(self._postgres) - postgres) / messages,
                redis=1e6 * (after.cpu - redis.cpu) / messages,
                redis_received=(after.received - redis.received) / messages,
                redis_sent=(after.sent - redis.sent) / messages,
                envelopes=(after.envelopes - redis.envelopes) / messages,
            )
        )

    def _mark(self, count: int) -> None:
        """So many read marks by turns for each room; returns when they are answered."""
        commands = [{"type": "read.mark", "id": 1, "room": room, "pos": 1} for room in self._rooms]
        frames = [masked(json.dumps(command).encode(), TEXT) for command in commands]
        sender = self._listeners.senders[0]
        sender.sendall(b"".join(islice(cycle(frames), count)))
        data = b""
        while data.count(b'"ok"') < count:
            data += sender.recv(1 << 20)

    def _until_told(self, before: float) -> None:
        """Marks are told with the sign of life, once a second."""
        while RedisWork.of(self._redis).envelopes < before + 2:
            time.sleep(0.02)

    def _cpu(self) -> list[float]:
        return [sum(map(cpu_seconds, pids)) for pids in self._pids]


def measure(
    others: Sequence[int | None], rooms: int, listeners: int, window: int, bursts: int, turns: int, *, marks: bool
) -> list[Case]:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        cases = [Case(stack, postgres, count, rooms, listeners) for count in others]
        for case in cases:
            case.turn(window, WARM_UP, marks=marks)
            case.turns.clear()
        for number in range(turns):
            for case in cases if number % 2 else reversed(cases):
                case.turn(window, bursts, marks=marks)
        return cases


def main() -> int:
    about = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.costs.envelopes", description=about)
    parser.add_argument("--rooms", type=int, default=64, help="rooms, a message to each in turn (64)")
    parser.add_argument("--window", type=int, default=64, help="messages a burst (64)")
    parser.add_argument("--listeners", type=int, default=1, help="of all the rooms, on each node (1)")
    parser.add_argument("--bursts", type=int, default=50, help="of a turn (50)")
    parser.add_argument("--turns", type=int, default=5, help="of each number of nodes (5)")
    parser.add_argument("--marks", action="store_true", help="read marks instead of messages")
    given = parser.parse_args()
    allow_many()
    others = (None, 0, 1, 2, 4)
    cases = measure(others, given.rooms, given.listeners, given.window, given.bursts, given.turns, marks=given.marks)
    what = "read marks" if given.marks else "messages"
    print(
        f"{given.window} {what} a burst, {given.rooms} rooms, {given.listeners} listeners of each on each node, "
        f"{given.turns} turns of {given.bursts} bursts; for each, from least to most"
    )
    for case in cases:
        print("one node without Redis" if case.others is None else f"one node and {case.others} others")
        for name in Turn.__struct_fields__:
            values = sorted(getattr(turn, name) for turn in case.turns)
            print(f"  {name:15} {values[0]:9.2f} {values[len(values) // 2]:9.2f} {values[-1]:9.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
