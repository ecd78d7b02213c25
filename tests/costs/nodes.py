"""What it costs that a room's listeners are on two nodes: processor time a delivery, and how long a message takes from
the node that it was sent to until it arrives on the other.

`python -m tests.costs.nodes`: one node with all listeners beside two with half of them each, both on PostgreSQL, the
two on Redis; bursts of messages in turns, so that whatever else the machine does concerns both.
"""

import argparse
import json
import select
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx

from loadtest.files import allow_many
from loadtest.processes import cpu_seconds, family
from loadtest.wire import TEXT, masked
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import NO_LIMITS, ServerProcess, token

MARK = b'"message.created"'
QUIET = {"GALAXY_LIMITS__HEARTBEAT_MS": "3600000", "GALAXY_LIMITS__INCOMPLETE_REQUESTS_PER_ADDRESS": "0"}
CHARACTERS = 120
WARM_UP = 5
"""Bursts that are not counted."""


class Listeners:
    """Bare sockets that have joined a room, on some nodes by turns; and of those who send, on the first `senders`."""

    def __init__(self, nodes: Sequence[ServerProcess], room: str, count: int, senders: int):
        self._nodes = nodes
        self._room = room
        self.poll = select.epoll()
        self.sockets: dict[int, tuple[int, socket.socket]] = {}
        self.senders = [self._join(node, f"sender{at}", None) for at, node in enumerate(nodes[:senders])]
        for number in range(count):
            at = number % len(nodes)
            connection = self._join(nodes[at], f"listener{number}", room)
            connection.setblocking(False)
            self.poll.register(connection, select.EPOLLIN | select.EPOLLET)
            self.sockets[connection.fileno()] = at, connection

    def _join(self, node: ServerProcess, user: str, room: str | None) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", node.port), 30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(
            b"GET /v1/socket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            b"Authorization: Bearer " + token(user).encode() + b"\r\n\r\n"
        )
        _until(connection, b'"welcome"')
        if room is not None:
            connection.sendall(masked(json.dumps({"type": "room.join", "id": 1, "room": room}).encode(), TEXT))
            _until(connection, b'"recovered"')
        return connection

    def burst(self, count: int) -> list[list[float]]:
        """Sends so many messages, by turns from each node, and waits until all have come everywhere. Returns, for each
        node, the seconds until the burst's last message had come to each of its listeners.
        """
        text = "." * CHARACTERS
        command = {"type": "message.send", "id": 1, "room": self._room, "text": text}
        frame = masked(json.dumps(command).encode(), TEXT)
        left = dict.fromkeys(self.sockets, count)
        took: list[list[float]] = [[] for _ in self._nodes]
        began = time.perf_counter()
        for at, sender in enumerate(self.senders):
            share = count // len(self.senders) + (at < count % len(self.senders))
            sender.sendall(frame * share)
        while left:
            for number, _ in self.poll.poll(30):
                at, connection = self.sockets[number]
                while True:
                    try:
                        data = connection.recv(1 << 20)
                    except BlockingIOError:
                        break
                    if not data:
                        raise RuntimeError("a connection was closed")
                    if number in left:
                        left[number] -= data.count(MARK)
                        if left[number] <= 0:
                            del left[number]
                            took[at].append(time.perf_counter() - began)
        for sender in self.senders:
            sender.setblocking(False)
            try:
                while sender.recv(1 << 20):
                    pass
            except BlockingIOError:
                sender.setblocking(True)
        return took

    def close(self) -> None:
        self.poll.close()
        for connection in (*self.senders, *(one for _, one in self.sockets.values())):
            connection.close()


def _until(connection: socket.socket, mark: bytes) -> None:
    data = b""
    while mark not in data:
        more = connection.recv(65_536)
        if not more:
            raise RuntimeError(f"closed after {data[-300:]!r}")
        data += more


class Side:
    """`nodes` and their listeners."""

    def __init__(self, nodes: Sequence[ServerProcess], listeners: int, senders: int):
        self._pids = [pid for node in nodes if node.process is not None for pid in family(node.process.pid)]
        with httpx.Client(base_url=nodes[0].url, headers={"Authorization": f"Bearer {token('sender0')}"}) as client:
            command = {"type": "room.create", "kind": "live", "visibility": "public", "title": "Cost"}
            self.room = client.post("/v1/commands", json=command).raise_for_status().json()["room"]["id"]
        self.listeners = Listeners(nodes, self.room, listeners, senders)
        self.spent: list[float] = []
        """Seconds of processor time of each burst."""
        self.took: list[list[list[float]]] = []

    def burst(self, count: int) -> None:
        before = self._cpu()
        took = self.listeners.burst(count)
        self.spent.append(self._cpu() - before)
        self.took.append(took)

    def _cpu(self) -> float:
        return sum(map(cpu_seconds, self._pids))


def measure(listeners: int, window: int, bursts: int, senders: int) -> tuple[Side, Side]:
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer())
        redis = stack.enter_context(RedisServer())
        settings = NO_LIMITS | QUIET

        def node(database: str, more: dict[str, str]) -> ServerProcess:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            environment = settings | {"GALAXY_STORE__URL": postgres.url(database)} | more
            return stack.enter_context(ServerProcess(folder, environment))

        alone = [node(postgres.new_database(), {})]
        shared = postgres.new_database()
        pair = [node(shared, {"GALAXY_BROKER__URL": redis.url}) for _ in range(2)]
        sides = Side(alone, listeners, senders), Side(pair, listeners, senders)
        for number in range(WARM_UP + bursts):
            for side in sides if number % 2 else reversed(sides):
                side.burst(window)
        for side in sides:
            side.spent, side.took = side.spent[WARM_UP:], side.took[WARM_UP:]
            side.listeners.close()
        return sides


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.costs.nodes", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--listeners", type=int, default=1_000, help="of the room, on all nodes together (1000)")
    parser.add_argument("--window", type=int, default=16, help="messages a burst (16)")
    parser.add_argument("--bursts", type=int, default=200, help="that are counted, on each side (200)")
    parser.add_argument("--senders", type=int, default=1, help="nodes that are sent to, by turns (1)")
    given = parser.parse_args()
    allow_many()
    one, two = measure(given.listeners, given.window, given.bursts, given.senders)
    deliveries = given.listeners * given.window
    print(
        f"{given.listeners} listeners, {given.bursts} bursts a side, "
        f"of {given.window} messages to {given.senders} of the nodes"
    )
    ratios = [b / a for a, b in zip(one.spent, two.spent, strict=True) if a]
    for name, side in (("one node", one), ("two nodes", two)):
        total = sum(side.spent) / len(side.spent) / deliveries
        last = sorted(max(map(max, took)) for took in side.took)
        print(
            f"{name:9}: {1e6 * total:.2f} µs of processor a delivery; a burst to all in "
            f"{1e3 * median(last):.1f} ms (p99 {1e3 * last[int(0.99 * len(last))]:.1f})"
        )
    if len(two.took[0]) > 1 and given.senders == 1:
        hops = sorted(1e3 * (min(there) - min(here)) for here, there in two.took)
        print(
            f"first arrival on the other node after the first on the sender's: {median(hops):.2f} ms "
            f"(p99 {hops[int(0.99 * len(hops))]:.2f})"
        )
    print(f"two nodes / one: {sum(two.spent) / sum(one.spent):.3f} in all, median pair {median(ratios):.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
