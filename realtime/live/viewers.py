"""Who watches: now, at most, and how many different ones, over all nodes, by `realtime.ports.Tallies`."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from msgspec import Struct

from realtime import ports
from realtime.hosting.peers import Peers

IDLE = 720
"""After so many announcements (an hour) without a viewer here the room is forgotten."""
SEEN = 65_536
"""Different viewers of one live that a node tells apart; of more it counts this many."""


class _Watched(Struct):
    """What this node knows of one room's live. `seen` are hashes of viewers."""

    here: dict[str, frozenset[str]] = {}
    seen: set[bytes] = set()
    peak: int = 0
    said: int = 0
    idle: int = 0


class Viewers:
    """Media and edge processes tell one node of this machine whom they have; that node tells all. Of the nodes with
    viewers of a room the first by name announces them. Who watches on several nodes may count more than once; where the
    tallies cannot be reached, each node has its own.
    """

    def __init__(self, tallies: ports.Tallies, peers: Peers, node: str, tell: Callable[[str, dict[str, Any]], None]):
        """`tell` is called with a room and an event for all who listen there, on all nodes."""
        self._tallies = tallies
        self._peers = peers
        self._node = node
        self._tell = tell
        self._rooms: dict[str, _Watched] = {}

    def report(self, source: str, rooms: Mapping[str, Collection[str]]) -> None:
        """All whom the process `source` has now, by room: user ids, or of anonymous viewers a name of their own."""
        for room in rooms.keys() - self._rooms.keys():
            self._rooms[room] = _Watched()
        for room, watched in self._rooms.items():
            users = frozenset(rooms.get(room, ()))
            if users:
                watched.here[source] = users
                fresh = {hashlib.blake2b(user.encode(), digest_size=8).digest() for user in users}
                if len(watched.seen) < SEEN:
                    watched.seen |= fresh
            else:
                watched.here.pop(source, None)

    def gone(self, source: str) -> None:
        """The process is no more, and nobody watches there."""
        self.report(source, {})

    def ended(self, room: str) -> None:
        """The room's live has ended."""
        if self._rooms.pop(room, None) is not None:
            self._note(room, 0, 0)

    def begun(self, room: str) -> None:
        """Another live: who has watched before counts anew."""
        watched = self._rooms.get(room)
        if watched is not None:
            watched.seen, watched.peak = set(), 0

    async def announce(self) -> None:
        """Every few seconds."""
        mine = {room: len(frozenset().union(*watched.here.values())) for room, watched in self._rooms.items()}
        for room, now in mine.items():
            self._note(room, now, len(self._rooms[room].seen))
        names = [f"{what}:{room}" for room in mine for what in ("watching", "watched")]
        held = await self._tallies.held(names) if self._peers and names else {}
        for room, here in mine.items():
            watched = self._rooms.get(room)
            if watched is not None:
                watched.idle = 0 if here else watched.idle + 1
                if watched.idle > IDLE:
                    self.ended(room)
            others = self._others(held, f"watching:{room}")
            if watched is None or not self._announces(watched, here, others):
                continue
            now = here + sum(others.values())
            unique = len(watched.seen) + sum(self._others(held, f"watched:{room}").values())
            watched.peak, watched.said = max(watched.peak, now), now
            counts = {"now": now, "peak": watched.peak, "unique": max(unique, now)}
            self._tell(room, {"type": "live.viewers", "room": room, **counts})

    def _announces(self, watched: _Watched, here: int, others: Mapping[str, int]) -> bool:
        """Who announced somebody says too that there is nobody any more."""
        if here:
            return not others or self._node < min(others)
        return not others and watched.said > 0

    def _others(self, held: Mapping[str, Mapping[str, int]], name: str) -> dict[str, int]:
        return {node: count for node, count in held.get(name, {}).items() if node in self._peers and count}

    def _note(self, room: str, now: int, unique: int) -> None:
        self._tallies.note(f"watching:{room}", now)
        self._tallies.note(f"watched:{room}", unique)
