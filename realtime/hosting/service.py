"""The rooms of this process as one thing to talk to: commands in, replies out, events to whoever listens.

WebSocket and HTTP both come in here, so that both run the same checks on the same log.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary

import structlog

from realtime import ports
from realtime.fanout.hub import Hub
from realtime.fanout.listeners import Listener
from realtime.fanout.rings import Rings
from realtime.fanout.sparing import Sparing
from realtime.hosting.across import Across
from realtime.hosting.aftermath import Aftermath
from realtime.hosting.bounds import Bounds, ring_bytes
from realtime.hosting.directory import Directory
from realtime.hosting.entry import Answer, Entry, noting
from realtime.hosting.following import Following
from realtime.hosting.fresh import FreshIds
from realtime.hosting.gathering import Gathering
from realtime.hosting.host import Host
from realtime.hosting.joining import Joining
from realtime.hosting.keeping_up import Counters as KeptUp
from realtime.hosting.mending import Mending
from realtime.hosting.online_user import Recipient
from realtime.hosting.places import Places
from realtime.hosting.presence import Presence
from realtime.hosting.queries import Queries
from realtime.hosting.recovery import Recovery
from realtime.hosting.retention import Retention
from realtime.hosting.rounds import Rounds, Written
from realtime.hosting.throttle import Throttle
from realtime.hosting.totals import Totals
from realtime.hosting.upkeep import Upkeep
from realtime.hosting.users import Users
from realtime.live.rooms import LiveRooms, LiveSettings
from realtime.tracing import Trace, Tracer
from rooms import commands as c
from rooms.actors import Actor, By
from rooms.decide import Limits
from rooms.errors import Rejected, not_found
from rooms.events import Reset
from rooms.ids import Millis
from rooms.permissions import authorize
from rooms.room import Room

log = structlog.get_logger("realtime.service")

CLOSE_SECONDS = 1.0
"""For commands under way to end when the server has gone; what takes longer waits for something outside."""


class Observer(Protocol):
    """Is told how long things take, in seconds."""

    def committed(self, seconds: float, events: int) -> None:
        """So many events are durable, this long after they were handed to the store."""

    def flushed(self, seconds: float) -> None:
        """A room's pending events were written to all its listeners, this long after they were published."""

    def waited(self, seconds: float) -> None:
        """Somebody who wanted in, to the server or to a room, has had to wait so long for a place."""


class Service:
    """Implements `Surroundings` for the hosts. Call `start` first and `close` last."""

    def __init__(
        self,
        store: ports.Store,
        broker: ports.Broker,
        tallies: ports.Tallies,
        policy: ports.Policy,
        clock: ports.Clock,
        limits: Limits,
        bounds: Bounds,
        recorded: Callable[[], None],
        observer: Observer,
        answering: AbstractContextManager[object] | None = None,
        uncork: Callable[[], None] = lambda: None,
        tracer: Tracer | None = None,
        live: LiveSettings | None = None,
    ):
        """`recorded` is called when interaction records have been put into the outbox. `answering` may hold replies
        while many commands are answered, of which `uncork` writes those that are held.
        """
        self.store = store
        self.policy = policy
        self.clock = clock
        self.limits = limits
        self.tracer = tracer
        self.keeping_up = KeptUp()
        self.rounds = Rounds(store, answering or nullcontext(), observer.committed)
        across = Across(broker)
        self.following = Following(self, broker, across)
        self.tallies = tallies
        self.totals = Totals(tallies, self.following.peers)
        self.users = Users(store, self.following.members_came, self.following.members_left, self.totals.connections)
        self.presence = Presence(bounds.presence_names, across, self.following.peers, self.totals)
        sparing = Sparing(bounds.live_comments_per_second, bounds.presence_names)
        self.hub = Hub(bounds.unsent_bytes, self.presence.changed, self._emptied, observer.flushed, sparing, uncork)
        self.directory = Directory(self)
        self.rings = Rings(bounds.recover_events, ring_bytes(bounds), bounds.ring_bytes)
        self.retention = Retention(store, self.rings)
        self.queries = Queries(store, clock, self.directory, self.hub, self.presence, self.retention, self.totals)
        self.recovery = Recovery(store, self.rings, self.retention, bounds.recover_bytes)
        places = Places(bounds.joins_at_once, bounds.join_wait_seconds, observer.waited)
        self.joining = Joining(self, self.recovery, bounds.recover_events, places)
        self.arrivals = Places(bounds.joins_at_once, bounds.join_wait_seconds, observer.waited)
        self.live = LiveRooms(self, across, live or LiveSettings())
        hosts = self.directory.hosts
        self.aftermath = Aftermath(self.hub, self.users, self.rings, across, hosts, recorded, tracer, self.live)
        self.across = across
        self.mending = Mending(self)
        self.typing: set[tuple[str, str]] = set()
        """Rooms and users of whom typing was told since the last tick, or since they last sent what they typed."""
        self._upkeep = Upkeep(self)
        self._ids = FreshIds()
        self._guesses = Throttle(bounds.invite_guesses_per_minute, 60_000, tallies, "invite guesses")
        self._reactions = Throttle(bounds.reactions_per_second, 1_000, tallies, "reactions")
        self._making: WeakSet[Host] = WeakSet()
        self._profiles = Gathering(store.profiles)
        self._renaming: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._rechecks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self.store.open()
        await self.following.start()
        await self.totals.start()
        self._upkeep.start()
        self.live.start()

    async def close(self) -> None:
        """Lets commands under way end, within CLOSE_SECONDS, then the store. Nothing new may be submitted."""
        await self._upkeep.stop()
        await self.live.stop()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.settle()
        except TimeoutError:
            log.warning("commands_abandoned")
            for host in [*self.directory.hosts.values(), *self._making]:
                host.abandon()
        await self.live.stop()  # of what the last commands have begun
        await self.following.stop()
        await self.tallies.close()
        await self.store.close()

    async def settle(self) -> None:
        """Returns when no command is under way any more."""
        while self.busy:  # noqa: ASYNC110 - hosts come and go meanwhile
            await asyncio.sleep(0.005)

    @property
    def busy(self) -> bool:
        """Whether a command is under way in some room, or in one that is being made."""
        return any(host.busy for hosts in (self.directory.hosts.values(), self._making) for host in hosts)

    def fresh(self) -> str:
        return self._ids.next()

    # Commands

    async def answer(
        self, actor: Actor, command: c.AnyCommand, trace: Trace | None = None, asked_at: str = ""
    ) -> dict[str, Any]:
        """What the `ok` reply of any command that needs no connection adds. `asked_at` is the Host that the client
        asked for. Raises Rejected.
        """
        if isinstance(command, c.Change):
            done: asyncio.Future[dict[str, Any] | Rejected] = asyncio.get_running_loop().create_future()

            def resolve(reply: dict[str, Any] | Rejected) -> None:
                if not done.done():
                    done.set_result(reply)

            answer = resolve if trace is None else noting(trace, resolve)
            try:
                await self.submit(actor, command, done, answer, trace)
            except Rejected as rejected:
                answer(rejected)
            reply = await done
            if isinstance(reply, Rejected):
                raise reply
            return reply
        try:
            if isinstance(command, c.OfCreators):
                return await self.live.answer(actor, command, asked_at)
            match command:
                case c.Typing():
                    return await self._type(actor, command)
                case c.ReadMark():
                    return await self._mark_read(actor, command)
                case c.UserLogout():
                    return await self._log_out(actor, command)
                case c.Ping():
                    return {"server_time": self.clock()}
                case c.Hello() | c.Refresh() | c.RoomJoin() | c.RoomLeave() | c.TicketCreate():
                    raise Rejected("bad_request", "This command needs a connection.", field="type")
                case _:
                    return await self.queries.answer(actor, command)
        except ports.Unavailable as error:
            raise unavailable(error) from error

    def at_hand(self, actor: Actor, command: c.AnyCommand) -> Host | None:
        """The host to `submit_to` without waiting, if there is one: its room is loaded, and the actor known there."""
        return self.directory.at_hand(command.room, actor) if isinstance(command, c.RoomChange) else None

    def submit_to(
        self, host: Host, actor: Actor, command: c.Decided, lane: object, answer: Answer, trace: Trace | None = None
    ) -> None:
        """As `submit`, for a host that is at hand."""
        self._check_pace(actor, command)
        host.submit(Entry(actor, command, lane, answer, trace))

    async def submit(
        self, actor: Actor, command: c.Decided, lane: object, answer: Answer, trace: Trace | None = None
    ) -> None:
        """Hands a command to its room. `answer` is called exactly once, after the commit and before any event of the
        command is published; commands of one `lane` for one room take effect in order. Raises Rejected, if the room
        cannot even be asked.
        """
        try:
            host = await self._host_for(actor, command)
        except ports.Unavailable as error:
            raise unavailable(error) from error
        host.submit(Entry(actor, command, lane, answer, trace))

    async def _host_for(self, actor: Actor, command: c.Decided) -> Host:
        match command:
            case c.RoomCreate():
                room = Room(command.room if command.room is not None and actor.admin else self.fresh())
                host = Host(ports.Loaded(room, "", 1), self)
                self._making.add(host)
                return host
            case c.InviteAccept():
                return await self._invited(actor, command)
            case _:
                self._check_pace(actor, command)
                return await self.directory.enter(command.room, actor)

    def _check_pace(self, actor: Actor, command: c.Decided) -> None:
        if isinstance(command, (c.MessageReact, c.MessageUnreact)):
            self._reactions.check(actor.user, self.clock(), "Too many reactions.")
            self._reactions.count(actor.user, self.clock())

    async def _invited(self, actor: Actor, command: c.InviteAccept) -> Host:
        """Guessing codes is hopeless at 128 bits; that wrong ones are limited keeps it from being tried."""
        now = self.clock()
        self._guesses.check(actor.user, now, "Too many wrong invite codes.")
        room = await self.store.invite_room(command.code)
        host = await self.directory.host(room) if room is not None else None
        if host is None:
            self._guesses.count(actor.user, now)
            raise not_found("invite")
        return host

    async def _type(self, actor: Actor, command: c.Typing) -> dict[str, Any]:
        host = await self.directory.enter(command.room, actor)
        authorize(host.room, actor, command, self.clock())
        if (command.room, actor.user) not in self.typing and self.presence.named(self.hub, command.room):
            self.typing.add((command.room, actor.user))
            event = {"type": "typing", "room": command.room, "user": actor.user, "by": host.room.by(actor)}
            self.tell_room(command.room, event)
        return {}

    def tell_room(self, room: str, event: dict[str, Any]) -> None:
        """An ephemeral event for all who listen, on all nodes."""
        self.hub.publish(room, [event])
        self.across.room(room, event)

    async def _mark_read(self, actor: Actor, command: c.ReadMark) -> dict[str, Any]:
        host = await self.directory.enter(command.room, actor)
        authorize(host.room, actor, command, self.clock())
        if command.pos > host.room.pos:
            await self.joining.catch_up(host)
        await self.store.mark_read(actor.user, command.room, min(command.pos, host.room.pos))
        self.across.marked(actor.user, command.room)
        return {"rooms": await self.users.marked(actor.user, command.room)}

    async def _log_out(self, actor: Actor, command: c.UserLogout) -> dict[str, Any]:
        user = command.user if command.user is not None else actor.user
        if user != actor.user and not actor.admin:
            raise Rejected("forbidden", "Only platform admins may log others out.", field="user")
        await self.store.log_out(user, self.clock())
        self.users.end(user)
        self.across.logged_out(user)
        return {}

    # What follows a commit

    def committed(self, host: Host, written: Written) -> None:
        if self.typing:
            self.typing.difference_update((event.room, event.by.id) for event in written.events)
        room = host.room.id
        self.rings.committed(room, host.epoch, written.events, listened=room in self.hub.channels)
        self.aftermath.committed(host, written)

    async def recheck(self, room: str, listener: Listener) -> None:
        """The listener's actor or the room has changed: they go on seeing what they now may see. Raises Unavailable."""
        try:
            host = await self.directory.enter(room, listener.actor)
            authorize(host.room, listener.actor, c.RoomJoin(room=room), self.clock())
        except Rejected as rejected:
            code = "banned" if rejected.code == "banned" else "revoked"
            self.live.viewer_gone(room, listener.user)
            if self.hub.remove(room, listener):
                listener.expelled(room, {"type": "room.removed", "room": room, "code": code})
        else:
            self.hub.set_viewer(room, listener, host.room.viewer(listener.actor))

    def _emptied(self, room: str) -> None:
        host = self.directory.hosts.get(room)
        if host is not None:
            host.used_at = self.clock()

    # Users

    async def arrive(self, actor: Actor, issued: Millis | None, recipient: Recipient, most: int = 0) -> bool:
        """Counts a connection of the user in. Returns whether there are no more than `most`, 0 for any number, on all
        nodes as far as is known. Raises Rejected(`unauthorized`), Unavailable.
        """
        async with self.arrivals:
            return await self._arrive(actor, issued, recipient, most)

    async def _arrive(self, actor: Actor, issued: Millis | None, recipient: Recipient, most: int) -> bool:
        ends = self.users.ends
        await self.check_profile(actor, issued)
        await self.users.connect(actor.user, actor.name, recipient)
        connections = self.users.connections(actor.user)
        if 0 < connections <= most:
            connections += await self.totals.connections_elsewhere(actor.user)
        if self.users.ends != ends:
            # Somebody has logged out meanwhile: perhaps this user, before the connection counted as theirs.
            try:
                await self.check_profile(actor, issued)
            except BaseException:
                self.users.disconnect(actor.user, recipient)
                raise
        return not most or connections <= most

    async def check_profile(self, actor: Actor, issued: Millis | None) -> None:
        """Carries a changed name or avatar to those who see it.

        Raises Rejected(`unauthorized`) for a token from before the user logged out everywhere; Unavailable.
        """
        profile = await self._profiles.get(actor.user)
        if profile is not None and (issued or 0) < profile.valid_after:
            raise Rejected("unauthorized", "This token is no longer valid: the user has logged out everywhere.")
        if profile is None or (profile.name, profile.avatar) != (actor.name, actor.avatar):
            # One after the other: who is renamed twice at once is told last what was saved last.
            async with self._renaming.setdefault(actor.user, asyncio.Lock()):
                await self.store.save_profile(actor.user, actor.name, actor.avatar)
                self.rings.renamed(actor.user, actor.name, actor.avatar)
                if profile is not None:
                    await self._renamed(actor)

    async def _renamed(self, actor: Actor) -> None:
        user = By(actor.user, actor.name, "", actor.avatar)
        for room in {*await self.store.memberships(actor.user), *self.hub.rooms_of(actor.user)}:
            self.aftermath.renamed(room, user)
            self.across.renamed(room, user)

    # What other nodes write

    def reset(self, host: Host) -> None:
        """The room has gone on, but what has happened meanwhile cannot be told: who listens begins anew."""
        room = host.room.id
        self.rings.drop(room)
        self.users.all_stale(room)
        channel = self.hub.channels.get(room)
        if channel is None:
            return
        channel.epoch = host.epoch
        self.hub.publish(room, [Reset(room, host.epoch, host.room.pos)])
        for user in list(channel.users):
            for listener in channel.users.get(user, ()):
                task = asyncio.get_running_loop().create_task(self._recheck_after_reset(room, listener))
                self._rechecks.add(task)
                task.add_done_callback(self._rechecks.discard)

    async def _recheck_after_reset(self, room: str, listener: Listener) -> None:
        """Somebody who may not hear the room any more hears it no more; where the store cannot say, they join anew."""
        try:
            await self.recheck(room, listener)
        except ports.Unavailable:
            if self.hub.remove(room, listener):
                listener.expelled(room, {"type": "room.removed", "room": room, "code": "revoked"})


def unavailable(error: ports.Unavailable) -> Rejected:
    return Rejected("unavailable", "Try again in a moment.", retry_after_ms=error.retry_after_ms)
