"""How soon a sent message is acknowledged (committed, fsynced) while a whole room receives all of them.

Every user is a member of one group and listens to it; some send. The schedule is fixed beforehand, and latency counts
from a message's scheduled moment, not from when the generator got round to sending it: so nothing that the server
delays is left out.
"""

import asyncio
import os
import time
from pathlib import Path

from msgspec import Struct

from loadtest.client import Client, Lost, Reply
from loadtest.disk import fsync_seconds
from loadtest.figures import Spread
from loadtest.server import HOST, Server, cpu_seconds
from loadtest.stream import RoomStream, Seen, Wrong
from loadtest.texts import texts

AT_ONCE = 50
"""Connections that are opened at the same time."""
PATIENCE = 30.0
"""Seconds that the last replies and events may take."""


class Plan(Struct, frozen=True):
    connections: int
    senders: int
    rate: float
    """Messages a second, over all senders."""
    seconds: float
    warm_up: float
    """Seconds at the same rate that come before and are not counted."""
    characters: int
    """Of a message's text, its number in front not counted."""


class Figures(Struct):
    latency: Spread
    """From a message's scheduled moment to its acknowledgement."""
    fsync: Spread
    """Of 4 KiB appended to a file beside the log, before the load."""
    sent: int
    """Messages counted: acknowledged, logged once, and received by every connection."""
    acknowledged_per_second: float
    deliveries_per_second: float
    server_cpu: float
    """Share of one core."""
    client_cpu: float
    server_mib: float

    def __str__(self) -> str:
        return "\n".join((
            f"acknowledged     {self.acknowledged_per_second:,.0f} messages/s, {self.sent:,} messages to all",
            f"acknowledgement  {self.latency}",
            f"disk             4 KiB write and fsync: {self.fsync}",
            f"deliveries       {self.deliveries_per_second:,.0f}/s",
            f"server           {self.server_cpu:.0%} of a core, {self.server_mib:,.0f} MiB resident",
            f"load generator   {self.client_cpu:.0%} of a core",
        ))  # fmt: skip


async def measure(plan: Plan, folder: Path) -> Figures:
    """Runs a server of its own with its data in `folder`. Raises Lost, Wrong unless all got everything."""
    fsync = Spread.of(fsync_seconds(folder))
    with Server(folder / "data") as server:
        clients = await _connect(server, plan.connections)
        try:
            load = Load(plan, clients, await _assemble(clients))
            await load.run(plan.warm_up)
            load.latencies.clear()
            cpu, own = server.cpu_seconds(), cpu_seconds(os.getpid())
            took = await load.run(plan.seconds)
            sent = len(load.latencies)
            return Figures(
                latency=Spread.of(load.latencies),
                fsync=fsync,
                sent=sent,
                acknowledged_per_second=sent / took,
                deliveries_per_second=sent * len(clients) / took,
                server_cpu=(server.cpu_seconds() - cpu) / took,
                client_cpu=(cpu_seconds(os.getpid()) - own) / took,
                server_mib=server.memory_mib(),
            )
        finally:
            for client in clients:
                client.close()


async def _connect(server: Server, count: int) -> list[Client]:
    clients: list[Client] = []
    for first in range(0, count, AT_ONCE):
        clients += await asyncio.gather(
            *(
                Client.connect(HOST, server.port, server.token(f"u{i}", f"User {i}"))
                for i in range(first, min(first + AT_ONCE, count))
            )
        )
    return clients


async def _assemble(clients: list[Client]) -> tuple[str, int]:
    """One group of which all are members and to which all listen. Returns its id and its position."""
    created = await clients[0].ask({"type": "room.create", "kind": "group", "title": "Load", "visibility": "public"})
    room = created["room"]["id"]
    await asyncio.gather(*(client.ask({"type": "member.join", "room": room}) for client in clients[1:]))
    joined = await asyncio.gather(*(client.ask({"type": "room.join", "room": room}) for client in clients))
    positions = {reply["pos"] for reply in joined}
    if len(positions) != 1:
        raise Lost(f"joined at different positions: {sorted(positions)}")
    return room, positions.pop()


class Load:
    """Sends by the schedule and holds what comes back to what was sent."""

    def __init__(self, plan: Plan, clients: list[Client], joined: tuple[str, int]):
        room, pos = joined
        self.latencies: list[float] = []
        """Seconds from each message's scheduled moment to its acknowledgement."""
        self.ended = 0.0
        """When the last acknowledgement came, on time.perf_counter."""
        self._plan = plan
        self._clients = clients
        self._stream = RoomStream(room, pos, self._heard)
        self._sent = 0
        self._acknowledged: dict[int, str] = {}
        self._received: dict[int, str] = {}

        self._texts = texts(plan.characters)
        for client in clients:
            client.follow(self._stream)

    async def run(self, seconds: float) -> float:
        """Sends for so long, then waits until everybody has received all of it. Returns the seconds from the first
        scheduled moment to the last acknowledgement. Raises Lost, Wrong.
        """
        count = round(seconds * self._plan.rate)
        aim = len(self._acknowledged) + count
        start = time.perf_counter() + 0.05
        for i in range(count):
            due = start + i / self._plan.rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            self._send(due)
        await self._settle(aim)
        return self.ended - start

    def _send(self, due: float) -> None:
        client = self._clients[self._sent % self._plan.senders]
        self._sent += 1
        text = f"{self._sent} {self._texts[self._sent % len(self._texts)]}"

        def answered(reply: Reply) -> None:
            if reply["type"] != "ok":
                raise Lost(f"message.send: {reply['code']}: {reply['message']}")
            self.ended = time.perf_counter()
            self.latencies.append(self.ended - due)
            self._acknowledged[reply["pos"]] = text

        client.send({"type": "message.send", "room": self._stream.room, "text": text, "key": str(self._sent)}, answered)

    def _heard(self, seen: Seen) -> None:
        if seen.type == "message.created" and seen.pos is not None:
            self._received[seen.pos] = seen.message["text"]

    async def _settle(self, aim: int) -> None:
        until = time.perf_counter() + PATIENCE
        while min(len(self._acknowledged), len(self._received)) < aim or any(client.behind for client in self._clients):
            for client in self._clients:
                if client.failure is not None:
                    raise client.failure
            if time.perf_counter() > until:
                behind = sum(bool(client.behind) for client in self._clients)
                raise Lost(f"{len(self._acknowledged)} of {aim} acknowledged, {behind} connections behind")
            await asyncio.sleep(0.01)
        if self._received != self._acknowledged:
            raise Wrong("what the room received is not what was acknowledged")
