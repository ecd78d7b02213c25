"""Finds the host of a room: loads rooms when somebody needs them, lets go of those that nobody uses."""

import asyncio
from collections.abc import Container
from typing import Protocol

from realtime import ports
from realtime.fanout.rings import Rings
from realtime.hosting import host as hosting
from realtime.hosting.gathering import Gathering
from realtime.hosting.host import Host
from rooms.actors import Actor, Role
from rooms.errors import not_found

IDLE_MS = 60_000
"""A room without listeners or commands for this long is let go."""


class Followed(Protocol):
    """How rooms keep up with what other nodes write to them."""

    async def begin(self, room: str) -> None:
        """The room is about to be loaded: nothing that is written from now on is to be missed."""

    def begun(self, room: str) -> None:
        """The room is loaded."""

    def end(self, room: str) -> None:
        """The room was not found, or has been let go."""


class Surroundings(hosting.Surroundings, Protocol):
    rings: Rings

    @property
    def following(self) -> Followed: ...


class Directory:
    """The hosts of this process. A room is let in through `enter`, which tells nobody of rooms they may not see."""

    def __init__(self, around: Surroundings):
        self._around = around
        self._accesses = Gathering(around.store.accesses)
        self.hosts: dict[str, Host] = {}
        self._loading: dict[str, asyncio.Task[Host | None]] = {}

    async def enter(self, room: str, actor: Actor) -> Host:
        """The room's host, if the actor may know of the room. Raises Rejected(`not_found`), Unavailable.

        Who is not known to be admitted asks the store, by the same queries whether the room is there or not, and
        whether it is at hand or not: neither the answer nor its making tells the two apart.
        """
        host = self.at_hand(room, actor)
        if host is not None:
            return host
        while True:
            access = await self._accesses.get((room, actor.user))
            if access is None or not _admitted(access, room, actor, self._around.clock()):
                raise not_found()
            host = await self.host(room)
            if host is None:
                raise not_found()
            if self._learn(host, actor.user, access):
                return host
            if access.pos > host.room.pos:
                await host.log.reach(host.epoch, access.pos)

    def _learn(self, host: Host, user: str, access: ports.Access) -> bool:
        """Whether the room now knows the user: what the store said was of the room's position, or the user has done
        nothing since, nor had done to them.
        """
        room = host.room
        if room.knows_person(user):
            return True
        if access.pos > room.pos:
            return False
        if access.pos < room.pos:
            # Where nothing is at hand that far back, it is from now on: the next answer will do.
            ring = self._around.rings.at(room.id, host.epoch, room.pos)
            if ring.concerns(user, access.pos):
                return False
        host.learn(user, access.person)
        return True

    def at_hand(self, room: str, actor: Actor) -> Host | None:
        """The room's host, if it is loaded and knows the actor as admitted."""
        host = self.hosts.get(room)
        if host is None or not (actor.admin or host.room.knows_person(actor.user)):
            return None
        now = self._around.clock()
        if not host.room.admits(actor, now):
            return None
        host.used_at = now
        return host

    async def host(self, room: str) -> Host | None:
        """The room's host, whoever asks; None where there is no such room. Raises Unavailable."""
        host = self.hosts.get(room)
        if host is not None:
            host.used_at = self._around.clock()
            return host
        task = self._loading.get(room)
        if task is None:
            task = self._loading[room] = asyncio.create_task(self._load(room))
            task.add_done_callback(lambda _: self._loading.pop(room, None))
        return await asyncio.shield(task)

    async def _load(self, room: str) -> Host | None:
        following = self._around.following
        await following.begin(room)
        try:
            loaded = await self._around.store.load(room)
        except BaseException:
            following.end(room)
            raise
        if loaded is None:
            following.end(room)
            return None
        host = self.hosts[room] = Host(loaded, self._around)
        following.begun(room)
        return host

    def let_go(self, listened: Container[str]) -> list[str]:
        """Drops hosts that are neither `listened` to nor used. Returns their rooms."""
        before = self._around.clock() - IDLE_MS
        gone = [
            room
            for room, host in self.hosts.items()
            if room not in listened and not host.busy and host.used_at < before
        ]
        for room in gone:
            self.hosts.pop(room).log.close()
            self._around.following.end(room)
        return gone


def _admitted(access: ports.Access, room: str, actor: Actor, now: int) -> bool:
    """`Room.admits`, on what the store says."""
    if actor.admin or access.visibility == "public":
        return True
    person = access.person
    banned = person is not None and person.banned_until > now
    role = max(person.role if person else Role.NONE, actor.grant(room))
    return role >= Role.MEMBER and not banned
