"""What a server's memory grows by: with a connection, a membership of who is online, a loaded room, a room's messages.

`python -m tests.costs.memory`: one server, its resident memory before and after each kind has become so many more.
"""

import argparse
import socket
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from loadtest.files import allow_many
from loadtest.processes import resident_bytes
from tests.costs.nodes import CHARACTERS, QUIET, asked, joined, new_rooms
from tests.support.server import NO_LIMITS, ServerProcess

ROOMS_A_CONNECTION = 100
"""The server allows 128."""
WARM_UP = 10
"""Rooms that do not count."""
SETTLED_SECONDS = 1.5
"""Memory is read when it has stood still for so long: what is told once a second has then been told."""


def measure(connections: int, rooms: int, memberships: int, messages: int) -> dict[str, float]:
    """Bytes of each kind. `memberships`: of each user, of as many groups. `messages`: in each room."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(ServerProcess(folder, NO_LIMITS | QUIET))
        assert server.process is not None
        pid = server.process.pid
        warm = [joined(server, "warm", new_rooms(server, WARM_UP))]
        groups = new_rooms(server, memberships, "group")
        loaded = new_rooms(server, rooms)
        found: dict[str, float] = {}
        before = _settled(pid)

        def grown(name: str, count: int) -> None:
            nonlocal before
            after = _settled(pid)
            found[name], before = (after - before) / count, after

        crowd = [joined(server, f"user{number}", ()) for number in range(connections)]
        grown("a connection that listens nowhere", connections)
        for number, connection in enumerate(crowd):
            for group in groups:
                asked(connection, {"type": "member.join", "room": group, "key": str(number)}, b'"pos"')
        grown("a membership of who is online", connections * memberships)
        lines = [
            joined(server, "reader", loaded[at : at + ROOMS_A_CONNECTION]) for at in range(0, rooms, ROOMS_A_CONNECTION)
        ]
        grown("a loaded room with one listener", rooms)
        for number, room in enumerate(loaded):
            for _ in range(messages):
                _say(lines[number // ROOMS_A_CONNECTION], room)
        grown("a message of a loaded room", rooms * messages)
        for connection in (*warm, *crowd, *lines):
            connection.close()
        return found


def _say(connection: socket.socket, room: str) -> None:
    asked(connection, {"type": "message.send", "room": room, "text": "." * CHARACTERS}, b'"message.created"')


def _settled(pid: int) -> int:
    """Bytes, when they have stood still."""
    seen, since = resident_bytes(pid), time.monotonic()
    while time.monotonic() - since < SETTLED_SECONDS:
        time.sleep(0.1)
        now = resident_bytes(pid)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.costs.memory", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--connections", type=int, default=2_000, help="that come (2000)")
    parser.add_argument("--rooms", type=int, default=2_000, help="that are loaded (2000)")
    parser.add_argument("--memberships", type=int, default=5, help="of each user (5)")
    parser.add_argument("--messages", type=int, default=20, help="in each room; of older ones it holds none (20)")
    given = parser.parse_args()
    allow_many()
    found = measure(given.connections, given.rooms, given.memberships, given.messages)
    for name, size in found.items():
        print(f"{size:9,.0f} bytes  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
