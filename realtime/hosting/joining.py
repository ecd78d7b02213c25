"""Joining a room: from which position on a listener hears all of it, and what it has missed before.

One loop step records the position and starts to keep new events for the listener; the past is read up to that
position; one loop step writes the reply, then what was kept. So nothing is missed and nothing comes twice.
"""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from msgspec.structs import replace

from realtime import ports
from realtime.fanout.channel import Channel
from realtime.fanout.hub import Hub
from realtime.fanout.listeners import Listener
from realtime.hosting.directory import Directory
from realtime.hosting.host import Host
from realtime.hosting.users import Users
from rooms import commands as c
from rooms.actors import Actor, Viewer
from rooms.permissions import authorize
from rooms.room import FOREVER
from rooms.visibility import shown

Reply = Callable[[dict[str, Any]], None]


class Surroundings(Protocol):
    store: ports.Store
    clock: ports.Clock
    directory: Directory
    hub: Hub
    users: Users


class Joining:
    def __init__(self, around: Surroundings, recover_events: int, recover_bytes: int):
        self._around = around
        self._recover_events = recover_events
        self._recover_bytes = recover_bytes

    async def join(self, actor: Actor, command: c.RoomJoin, listener: Listener, reply: Reply) -> None:
        """Subscribes the listener; `reply` is called before it hears anything. Raises Rejected, Unavailable."""
        around = self._around
        host = await around.directory.enter(command.room, actor)
        authorize(host.room, actor, command, around.clock())
        channel = around.hub.channel(command.room, host.epoch, live=host.room.kind == "live")
        if command.since is None or not self._within_reach(host, command.since):
            self._start(host, channel, actor, listener, reply)
            return
        around.hub.catch_up(channel, listener)
        pos, viewer = host.room.pos, host.room.viewer(actor)
        try:
            missed = await self._missed(host, command.since.pos, pos, viewer)
            # While the past was read, the actor may have been sent away, and the listener with them; or have shown
            # another token; or the room was loaded anew, and knows only some of its people.
            actor = listener.actor
            host = await around.directory.enter(command.room, actor)
            authorize(host.room, actor, command, around.clock())
        except BaseException:
            around.hub.remove(command.room, listener)
            raise
        if not around.hub.listening(command.room, listener):
            channel = around.hub.channel(command.room, host.epoch, live=host.room.kind == "live")
            missed = None
        if missed is None or not around.hub.catching_up(channel, listener):
            self._start(host, channel, actor, listener, reply)
            return
        reply(self._shown(host, actor, pos, missed))
        around.hub.caught_up(channel, listener, replace(viewer, role=host.room.role(actor)))

    def _within_reach(self, host: Host, since: c.Since) -> bool:
        return (
            since.epoch == host.epoch
            and host.first_pos - 1 <= since.pos <= host.room.pos
            and host.room.pos - since.pos <= self._recover_events
        )

    def _start(self, host: Host, channel: Channel, actor: Actor, listener: Listener, reply: Reply) -> None:
        """From here on, without the past."""
        self._around.hub.settle(channel, listener)
        reply(self._shown(host, actor, host.room.pos, None))
        self._around.hub.add(channel, listener, host.room.viewer(actor))

    async def _missed(self, host: Host, after: int, to: int, viewer: Viewer) -> list[Any] | None:
        """What the viewer may see of the log after one position up to another; None where it is too much."""
        if after == to:
            return []
        events = await self._around.store.events(host.room.id, after=after, to=to, limit=to - after)
        seen = list(shown(events, viewer))
        size = sum(len(msgspec.json.encode(event)) for event in seen)
        return seen if size <= self._recover_bytes else None

    def _shown(self, host: Host, actor: Actor, pos: int, missed: list[Any] | None) -> dict[str, Any]:
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
        channel = self._around.hub.channels.get(room.id)
        info: dict[str, Any] = {
            "id": room.id,
            "kind": room.kind,
            "title": room.title,
            "visibility": room.visibility,
            "settings": room.settings,
            "counts": {"members": room.members, "online": len(channel.users) if channel else 0},
            "pins": sorted(p for p, until in room.pins.items() if until > self._around.clock()),
        }
        if room.closed:
            info["closed"] = True
        return {
            "room": info,
            "you": you,
            "epoch": host.epoch,
            "pos": pos,
            "first_pos": host.first_pos,
            "recovered": missed is not None,
            "events": missed or [],
        }
