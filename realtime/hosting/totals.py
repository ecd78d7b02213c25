"""What nodes count together: connections of a user, listeners of rooms that are not loaded where they are asked for."""

from collections.abc import Collection, Mapping

from realtime import ports
from realtime.fanout.channel import Channel
from realtime.hosting.online_user import OnlineUser
from realtime.hosting.peers import Peers

RENOTE_TICKS = 3_600
"""After so many ticks all is noted again: Redis may have been emptied, and forgets after a day."""


class Totals:
    """Nodes that are not heard do not count. What cannot be known in time counts nothing (`ports.Tallies`)."""

    def __init__(self, tallies: ports.Tallies, peers: Peers):
        self._tallies = tallies
        self._peers = peers
        self._left = RENOTE_TICKS

    async def start(self) -> None:
        await self._tallies.open(self._resumed)

    def _resumed(self) -> None:
        self._left = 0

    def connections(self, user: str, count: int) -> None:
        """The user has so many connections here now."""
        self._tallies.note(f"user:{user}", count)

    def listeners(self, room: str, count: int) -> None:
        """So many listen to the room here now."""
        self._tallies.note(f"room:{room}", count)

    async def connections_elsewhere(self, user: str) -> int:
        name = f"user:{user}"
        return (await self._elsewhere([name]))[name]

    async def listeners_elsewhere(self, rooms: Collection[str]) -> dict[str, int]:
        """By room. Who listens on two nodes counts twice."""
        counts = await self._elsewhere([f"room:{room}" for room in rooms])
        return {room: counts[f"room:{room}"] for room in rooms}

    async def _elsewhere(self, names: Collection[str]) -> dict[str, int]:
        held = await self._tallies.held(names) if self._peers and names else {}
        return {name: sum(count for node, count in held.get(name, {}).items() if node in self._peers) for name in names}

    def tick(self, users: Mapping[str, OnlineUser], channels: Mapping[str, Channel]) -> None:
        """Once a second: notes everything again, where it may have been forgotten."""
        if self._left:
            self._left -= 1
            return
        self._left = RENOTE_TICKS
        for user, online in users.items():
            self.connections(user, len(online.recipients))
        for room, channel in channels.items():
            self.listeners(room, len(channel.users))
