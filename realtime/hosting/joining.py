"""Joining a room: from which position on a listener hears all of it, and what it has missed before.

What was missed is first brought to hand, if it is not. Then one loop step notes the position, writes the reply with all
up to it, and lets the listener hear what comes after. So nothing is missed and nothing comes twice.
"""

from collections.abc import Callable
from typing import Any, Protocol

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.fanout.listeners import Form as EventForm
from realtime.fanout.listeners import Listener
from realtime.fanout.ring import Form as PastForm
from realtime.fanout.ring import TooMuch
from realtime.hosting.directory import Directory
from realtime.hosting.gathering import Gathering
from realtime.hosting.host import Host
from realtime.hosting.places import Places
from realtime.hosting.presence import Presence
from realtime.hosting.recovery import Recovery
from realtime.hosting.users import Users
from rooms import commands as c
from rooms.actors import Actor
from rooms.live import shown_live
from rooms.permissions import authorize
from rooms.room import FOREVER

TRIES = 3
"""How often what was missed is brought to hand, where it is gone again before it could be used."""

Reply = Callable[[dict[str, Any]], None]


class Surroundings(Protocol):
    store: ports.Store
    clock: ports.Clock
    directory: Directory
    hub: Hub
    users: Users
    presence: Presence


class Form(EventForm, PastForm, Protocol):
    """How what is to come and what was missed are written for one kind of listener."""


class Joiner(Listener, Protocol):
    """Who can be given a room's past."""

    @property
    def form(self) -> Form: ...


class Joining:
    def __init__(self, around: Surroundings, recovery: Recovery, recover_events: int, places: Places):
        self.places = places
        self._around = around
        self._recovery = recovery
        self._recover_events = recover_events
        self._heads = Gathering(around.store.heads)

    async def join(self, command: c.RoomJoin, listener: Joiner, reply: Reply) -> None:
        """Subscribes the listener; `reply` is called before it hears anything. Raises Rejected, Unavailable."""
        async with self.places:
            await self._join(listener.actor, command, listener, reply)

    async def _join(self, actor: Actor, command: c.RoomJoin, listener: Joiner, reply: Reply) -> None:
        host = await self._enter(actor, command)
        since = command.since
        if since is not None and since.epoch == host.epoch and since.pos > host.room.pos:
            self._around.hub.remove(command.room, listener)
            await self.catch_up(host)
            actor = listener.actor
            host = await self._enter(actor, command)
        for _ in range(TRIES):
            if since is None or not self._within_reach(host, since):
                break
            viewer = host.room.viewer(actor)
            if self._recovery.at_hand(host, since.pos, viewer):
                self._start(host, actor, listener, reply, since.pos)
                return
            # Who joins again hears nothing of the old subscription any more.
            self._around.hub.remove(command.room, listener)
            await self._recovery.reach(host, since.pos, viewer)
            # Meanwhile the actor may have been sent away, or have shown another token; or the room was loaded anew,
            # and knows only some of its people.
            actor = listener.actor
            host = await self._enter(actor, command)
        self._start(host, actor, listener, reply, None)

    async def catch_up(self, host: Host) -> None:
        """Somebody knows more of the room than this node, perhaps from another one: returns once it is where its log
        is. Raises Unavailable.
        """
        head = await self._heads.get(host.room.id)
        if head is not None:
            await host.log.reach(*head)

    async def _enter(self, actor: Actor, command: c.RoomJoin) -> Host:
        host = await self._around.directory.enter(command.room, actor)
        authorize(host.room, actor, command, self._around.clock())
        return host

    def _within_reach(self, host: Host, since: c.Since) -> bool:
        return (
            since.epoch == host.epoch
            and host.first_pos - 1 <= since.pos <= host.room.pos
            and host.room.pos - since.pos <= self._recover_events
        )

    def _start(self, host: Host, actor: Actor, listener: Joiner, reply: Reply, after: int | None) -> None:
        """From here on, with what came after a position, unless that is too much."""
        hub, viewer = self._around.hub, host.room.viewer(actor)
        channel = hub.channel(host.room.id, host.epoch, live=host.room.kind == "live")
        hub.settle(channel, listener)
        missed = None
        if after is not None:
            try:
                missed = self._recovery.past(host, after, viewer, listener.form)
            except TooMuch:
                missed = None
        reply(self._shown(host, actor, missed))
        hub.add(channel, listener, viewer)

    def _shown(self, host: Host, actor: Actor, missed: Any | None) -> dict[str, Any]:
        room = host.room
        person = room.people.get(actor.user)
        you: dict[str, Any] = {
            "role": room.role(actor).wire,
            "read_pos": self._around.users.read_pos(actor.user, room.id),
        }
        if person is not None and person.muted_until > self._around.clock():
            you["muted"] = True
            if person.muted_until < FOREVER:
                you["muted_until"] = person.muted_until
        info: dict[str, Any] = {
            "id": room.id,
            "kind": room.kind,
            "title": room.title,
            "visibility": room.visibility,
            "settings": room.settings,
            "counts": {"members": room.members, "online": self._around.presence.online(self._around.hub, room.id)},
            "pins": sorted(p for p, until in room.pins.items() if until > self._around.clock()),
        }
        if room.closed:
            info["closed"] = True
        if room.live is not None:
            info["live"] = shown_live(room.id, room.live)
        return {
            "room": info,
            "you": you,
            "epoch": host.epoch,
            "pos": room.pos,
            "first_pos": host.first_pos,
            "recovered": missed is not None,
            "events": missed if missed is not None else [],
        }
