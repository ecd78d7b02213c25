"""What other nodes tell this one: its rooms keep up with their logs, whoever writes to them.

A room that is loaded here, or whose members are online here, is followed. Where something was missed, the log is read;
while the broker is away, or another node has fallen silent, the log's heads are asked for each second.
"""

import asyncio
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Protocol, assert_never

import structlog
from msgspec import Struct

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.fanout.rings import Rings
from realtime.hosting.across import Across
from realtime.hosting.aftermath import Aftermath
from realtime.hosting.directory import Directory
from realtime.hosting.mending import Mending
from realtime.hosting.peers import ALIVE_SECONDS, Peers
from realtime.hosting.presence import Presence
from realtime.hosting.users import Users
from realtime.live.rooms import LiveRooms
from realtime.ports import carried as said
from realtime.tracing import Tracer

log = structlog.get_logger("realtime.following")

BEACON_TICKS = 2
HEADS = 1_000
"""Rooms of one question to the store."""


class Surroundings(Protocol):
    store: ports.Store
    directory: Directory
    hub: Hub
    rings: Rings
    users: Users
    aftermath: Aftermath
    tracer: Tracer | None
    presence: Presence
    mending: Mending
    live: LiveRooms


class Counters(Struct):
    heard: int = 0
    """Messages."""


class Following:
    """Implements `ports.Receiver`."""

    def __init__(self, around: Surroundings, broker: ports.Broker, across: Across):
        self._around = around
        self._broker = broker
        self._across = across
        self.peers = Peers(lambda: asyncio.get_running_loop().time())
        self._loading: dict[str, int] = {}
        """Rooms that are being loaded → how far their logs are known to go."""
        self._hosted: set[str] = set()
        self._members: dict[str, int] = {}
        """Rooms whose members are online → the last position heard of, 0 where none was."""
        self._missed = asyncio.Event()
        self.counters = Counters()
        self._asks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        """Asks for the heads of all rooms."""
        self._owing = False
        """It is to be done again, as the store could not answer or something was missed since it began."""

    @property
    def degraded(self) -> bool:
        """Whether other nodes' messages come by way of the log, for they may not come otherwise."""
        return not self._broker.up or self.peers.missed

    async def start(self) -> None:
        await self._broker.open(self)
        topics = [ports.NODES, *(f"user:{number}" for number in range(ports.USER_TOPICS))]
        await asyncio.gather(*(self._broker.follow(topic) for topic in topics))

    async def stop(self) -> None:
        self._across.alive(leaving=True)
        for task in self._asks:
            task.cancel()
        await asyncio.gather(*self._asks, return_exceptions=True)
        await self._broker.close()

    # What is followed

    async def begin(self, room: str) -> None:
        """The room is about to be loaded: nothing that is written from now on is to be missed."""
        self._loading[room] = 0
        self._hosted.add(room)
        await self._broker.follow(ports.room_topic(room))
        self._across.ask_who(room)

    def begun(self, room: str) -> None:
        """The room is loaded."""
        pos = self._loading.pop(room, 0)
        host = self._around.directory.hosts.get(room)
        if host is None:
            return
        host.log.told(host.epoch, pos)
        if room in self._members and (pos or 0 < self._members[room] < host.room.pos):
            # What was heard meanwhile, or never, has not been counted for its members.
            self._around.users.all_stale(room)

    def end(self, room: str) -> None:
        """The room was not found, or has been let go."""
        self._loading.pop(room, None)
        self._hosted.discard(room)
        self._around.presence.forget(room)
        self._unfollow(room)

    def members_came(self, room: str) -> None:
        """Members of the room are online here."""
        self._members[room] = 0
        if room not in self._hosted:
            task = asyncio.get_running_loop().create_task(self._follow_for_members(room))
            self._asks.add(task)
            task.add_done_callback(self._asks.discard)

    async def _follow_for_members(self, room: str) -> None:
        if room in self._members:  # they may have left again
            await self._broker.follow(ports.room_topic(room))

    def members_left(self, room: str) -> None:
        self._members.pop(room, None)
        self._unfollow(room)

    def _unfollow(self, room: str) -> None:
        if room not in self._hosted and room not in self._members:
            self._broker.unfollow(ports.room_topic(room))

    # What is heard

    def heard(self, node: str, topic: str, messages: Sequence[said.Carried]) -> None:
        room = topic.partition(":")[2]
        self.counters.heard += len(messages)
        for message in messages:
            self._heard(node, room, message)

    def _heard(self, node: str, room: str, message: said.Carried) -> None:
        around = self._around
        match message:
            case said.Committed():
                self._committed(room, message)
            case said.Beacon(epoch, pos):
                if self._members.get(room) == 0:
                    around.users.all_stale(room)  # of what was said just now nothing was heard
                self._head(room, epoch, pos)
            case said.RoomTold(event, staff):
                if staff:
                    around.aftermath.tell_listening_staff(room, event)
                else:
                    around.hub.publish(room, [event])
            case said.Renamed(user):
                around.aftermath.renamed(room, user)
            case said.Present():
                if room in self._hosted and node in self.peers:
                    around.presence.heard(around.hub, node, room, message)
            case said.Retold(since):
                around.presence.retold(node, since)
            case said.Who(asked):
                if room in around.hub.channels:
                    around.presence.tell(around.hub, room)
                elif not room and asked in ("", self._across.node):
                    around.presence.retell()
            case said.UserTold(user, event):
                around.users.tell(user, event)
            case said.Joined(user, joined):
                around.users.joined(joined, user)
            case said.Marked(user, marked):
                around.users.stale(user, marked)
            case said.LoggedOut(user):
                around.users.end(user)
            case said.StreamEnded(ended, ending):
                around.live.end(ended, ending)
            case said.StreamBegun(begun):
                around.live.begun(begun)
            case said.ViewerGone(watched, viewer):
                around.live.remove_viewer(watched, viewer)
            case said.RecordingsChanged(kept):
                around.live.recordings_changed(kept)
            case said.DestinationsChanged(creator):
                around.live.push(creator)
            case said.Alive(leaving):
                self._alive(node, leaving)
            case _:
                assert_never(message)

    def _alive(self, node: str, leaving: bool) -> None:
        if self.peers.alive(node, leaving=leaving):
            self._missed.set()  # what it has written while nobody here heard it
            self._across.alive()
            if len(self.peers) == 1:
                self._around.presence.retell()
            if self._hosted:
                # It may have been taken for gone, and nothing have been noted of what it said.
                self._across.ask_who_everywhere(node)
        elif leaving:
            self._missed.set()  # its last words may be among what got lost
            self._around.presence.lost(node)

    def _committed(self, room: str, message: said.Committed) -> None:
        if message.traces and self._around.tracer is not None:
            host = self._around.directory.hosts.get(room) if room not in self._loading else None
            pos = message.events[-1].pos
            awaited = host is not None and pos > host.room.pos
            self._around.tracer.heard(room, pos if awaited else None, message.traces)
        if room in self._loading:
            self._loading[room] = max(self._loading[room], message.events[-1].pos)
        elif (host := self._around.directory.hosts.get(room)) is not None:
            host.log.hear(message.epoch, message.events)
        elif room in self._members:
            for event in message.events:
                before = self._members[room]
                if event.pos > before:
                    if before and event.pos > before + 1:
                        self._around.users.all_stale(room)
                    self._members[room] = event.pos
                    self._around.aftermath.follow_users(event)

    def _head(self, room: str, epoch: str, pos: int) -> None:
        """How far the room's log goes."""
        if room in self._loading:
            self._loading[room] = max(self._loading[room], pos)
        elif (host := self._around.directory.hosts.get(room)) is not None:
            host.log.told(epoch, pos)
        elif room in self._members and self._members[room] < pos:
            if self._members[room]:
                self._around.users.all_stale(room)
            self._members[room] = pos

    def missed(self) -> None:
        self._around.presence.retell()
        self._across.ask_who_everywhere()
        self._around.mending.ask()
        self._missed.set()

    # By the clock

    async def run(self) -> None:
        """Tells the others that this node is there, and looks for what was missed, each second."""
        tick = 0
        while True:
            tick += 1
            self.look_around()
            if tick % BEACON_TICKS == 0 or self._missed.is_set():
                self._tell_heads()
            if self.degraded or self._missed.is_set() or self._owing:
                self._missed.clear()
                self._look_for_missed()
            try:
                async with asyncio.timeout(ALIVE_SECONDS):
                    await self._missed.wait()
            except TimeoutError:
                pass  # the next tick

    def look_around(self) -> None:
        """Says that this node is there, and takes note of those that have fallen silent."""
        self._across.alive()
        self._across.tell_marks()
        for node in self.peers.expire():
            log.warning("node_silent", node=node)
            self._around.presence.lost(node)

    def _tell_heads(self) -> None:
        for room in self._across.quiet():
            host = self._around.directory.hosts.get(room)
            if host is not None:
                self._across.beacon(room, host.epoch, host.room.pos)

    def _look_for_missed(self) -> None:
        """Beside the ticks: a store that hangs must not make this node fall silent."""
        self._owing = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._ask_heads())
            self._asks.add(self._looking)
            self._looking.add_done_callback(self._asks.discard)

    async def _ask_heads(self) -> None:
        self._owing = False
        rooms = iter([*self._around.directory.hosts, *(self._members.keys() - self._around.directory.hosts.keys())])
        try:
            while some := list(islice(rooms, HEADS)):
                await self._compare(some)
        except ports.Unavailable as error:
            self._owing = True
            log.debug("heads_unavailable", error=str(error))
        except Exception:
            log.exception("heads_failed")

    async def _compare(self, rooms: Collection[str]) -> None:
        for room, (epoch, pos) in (await self._around.store.heads(rooms)).items():
            self._head(room, epoch, pos)
