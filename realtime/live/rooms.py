"""Live streams as this node has to do with them: what creators and media processes ask, and what follows a commit."""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, Protocol, assert_never
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct, field

from realtime import ports
from realtime.hosting.across import Across
from realtime.hosting.directory import Directory
from realtime.hosting.host import Host
from realtime.hosting.peers import Peers
from realtime.hosting.users import Users
from realtime.live.acting import Acting
from realtime.live.addresses import Addresses
from realtime.live.closing import Closing
from realtime.live.destinations import Destinations
from realtime.live.gate import Gate
from realtime.live.keys import Keys
from realtime.live.reach import Nowhere, Reach
from realtime.live.recordings import Recordings
from realtime.live.secrets import Secrets
from realtime.live.viewers import Viewers
from relay.ports import Reason, Refused
from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor, Role
from rooms.decide.decision import Limits, Moment
from rooms.decide.live import check_kyc, check_live_room
from rooms.effects import ChangeRecording, Effect, Ending, HideRecordings, SaveStream
from rooms.errors import Rejected, not_found
from rooms.live import Left
from rooms.permissions import authorize
from rooms.room import Room

log = structlog.get_logger("realtime.live")

REASONS: dict[str, Reason] = {
    "stopped": "stopped",
    "gone": "gone",
    "removed": "banned",
    "banned": "banned",
    "closed": "stopped",
    "taken_down": "taken_down",
    "key_rotated": "key_rotated",
    "replaced": "replaced",
    "moved": "replaced",
}
"""What a media process is told, by why the stream has ended here."""


VIEWERS_SECONDS = 3.0


class LiveSettings(Struct, frozen=True):
    """`secrets` None: none, what needs them is refused."""

    secrets: Secrets | None = None
    addresses: Addresses = field(default_factory=Addresses)
    record: bool = True


class Followed(Protocol):
    peers: Peers


class Surroundings(Protocol):
    store: ports.Store
    clock: ports.Clock
    limits: Limits
    directory: Directory
    users: Users
    tallies: ports.Tallies

    @property
    def following(self) -> Followed: ...

    def tell_room(self, room: str, event: dict[str, Any]) -> None: ...

    def fresh(self) -> str: ...


class LiveRooms:
    """`reach` is set once there are media processes. Call `start` first and `stop` last."""

    def __init__(self, around: Surroundings, across: Across, settings: LiveSettings):
        secrets = settings.secrets or Secrets(None)
        self.reach: Reach = Nowhere()
        self.addresses = settings.addresses
        self.record = settings.record
        self.acting = Acting(around.store, around.directory)
        self.keys = Keys(around.store, secrets)
        self.destinations = Destinations(around.store, secrets, around.fresh, self._destinations_changed)
        self.recordings = Recordings(around.store)
        self.closing = Closing(self, around.store, around.clock)
        self.viewers = Viewers(around.tallies, around.following.peers, across.node, self._tell_viewers)
        self._around = around
        self._across = across
        self._pushing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._spawn(self.closing.run())
        self._spawn(self.closing.watch())
        self._spawn(self.closing.beats())
        self._spawn(self.closing.removals())
        self._spawn(self._announce())

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _announce(self) -> None:
        while True:
            await asyncio.sleep(VIEWERS_SECONDS)
            await _logged(self.viewers.announce())

    def _tell_viewers(self, room: str, event: dict[str, Any]) -> None:
        """Of a test nobody is told who watches."""
        host = self._around.directory.hosts.get(room)
        if host is None or host.room.live is not None:
            self._around.tell_room(room, event)

    # Media processes

    def gate(self, process: str) -> Gate:
        return Gate(self, process)

    async def process_gone(self, process: str) -> None:
        """A media process has died: its publishers are gone. Raises Unavailable; then it is noticed a little later."""
        self.closing.forget(process)
        for room, stream in await self._around.store.streams_of(processes=[process]):
            try:
                await self.acting.act(stream.user, Left(room=room, fence=stream.fence))
            except Rejected as rejected:
                log.info("stream_not_interrupted", room=room, reason=rejected.message)

    def tell(self, user: str, event: dict[str, Any]) -> None:
        self._around.users.tell(user, event)
        self._across.user(user, event)

    # Who may

    async def may_publish(self, actor: Actor, room: str) -> None:
        """To be asked before a publisher by token is let in by room and user. Raises Rejected, Unavailable."""
        host = await self._around.directory.enter(room, actor)
        self._check_creator(host.room, actor, c.LiveKey(room=room))
        await self.keys.note(actor, room)

    def _check_creator(self, room: Room, actor: Actor, command: c.Command) -> Role:
        role = authorize(room, actor, command, self._around.clock())
        check_live_room(room)
        check_kyc(actor, Moment(self._around.clock(), limits=self._around.limits))
        return role

    async def may_see(self, actor: Actor, room: str) -> None:
        """Whether the actor may watch the room's stream, whether or not there is one: a test is there for its creator
        alone. What holds is what is so when this returns, however long the store took. Raises Rejected, Unavailable.
        """
        host = await self._around.directory.enter(room, actor)
        shown = await self._shown(host.room, actor.user)
        authorize(host.room, actor, c.RoomJoin(room=room), self._around.clock())
        check_live_room(host.room)
        if not shown:
            raise not_found("stream")

    async def may_watch(self, room: str, user: str, *, granted: bool = False) -> bool:
        """Whether somebody who was let in by `may_see` may still watch. `granted`: their token alone let them into a
        private room. Raises Unavailable.
        """
        host = await self._let_in(room, user, granted=granted)
        return host is not None and await self._shown(host.room, user)

    async def may_replay(self, room: str, recording: str, user: str, *, granted: bool = False) -> bool:
        """As `may_watch`, for a recording. Raises Unavailable."""
        host = await self._let_in(room, user, granted=granted)
        if host is None:
            return False
        actor = Actor(user=user, name=user)
        return await self.recordings.playable(actor, host.room.role(actor), room, recording) is not None

    async def _let_in(self, room: str, user: str, *, granted: bool) -> Host | None:
        actor = Actor(user=user, name=user, granted={room: "member"} if granted else {})
        try:
            host = await self._around.directory.enter(room, actor)
        except Rejected:
            return None
        return None if host.room.banned(user, self._around.clock()) else host

    async def _shown(self, room: Room, user: str) -> bool:
        if room.live is not None:
            return True
        stream = await self._around.store.stream(room.id)
        return not (stream.on and stream.test) or stream.user == user

    # Commands

    async def answer(self, actor: Actor, command: c.OfCreators, host: str) -> dict[str, Any]:
        """What the `ok` reply adds; never kept, as it may hold a key. `host` is the Host that the client asked for.
        Raises Rejected, Unavailable.
        """
        match command:
            case c.LiveKey():
                return await self._key(actor, command, host)
            case c.LiveGet() | c.RecordingList():
                entered = await self._around.directory.enter(command.room, actor)
                role = authorize(entered.room, actor, command, self._around.clock())
                if isinstance(command, c.RecordingList):
                    return await self.recordings.listed(actor, role, command)
                return await self._get(entered.room)
            case c.DestinationAdd() | c.DestinationUpdate() | c.DestinationRemove() | c.DestinationList():
                return await self.destinations.answer(actor, command)
            case _:
                assert_never(command)

    async def _key(self, actor: Actor, command: c.LiveKey, host: str) -> dict[str, Any]:
        entered = await self._around.directory.enter(command.room, actor)
        self._check_creator(entered.room, actor, command)
        key = await self.keys.key(actor, command.room, rotate=command.rotate)
        if command.rotate:
            self.closing.wake()
        addresses = self.addresses
        return {"key": key, "whip": addresses.whip(command.room, host), "rtmp": addresses.rtmp(host)}

    async def _get(self, room: Room) -> dict[str, Any]:
        stream = await self._around.store.stream(room.id)
        shown: dict[str, Any] = {
            "state": stream.state if stream.on else "stopped" if stream.stopped else "idle",
            "title": stream.title or room.title,
            "mature": stream.mature,
            "test": stream.test,
        }
        if stream.category:
            shown["category"] = stream.category
        if stream.on:
            shown |= {"user": stream.user, "session": stream.session, "started_at": stream.started_at}
        return {"stream": shown}

    # What follows a commit

    def committed(self, room: Room, own: Sequence[e.Logged], effects: Iterable[Effect]) -> None:
        """Of this node's own writing, in the order of the room's log."""
        for event in own:
            self._follow(room, event)
        for effect in effects:
            match effect:
                case SaveStream(ended=Ending() as ending):
                    self.end(room.id, ending)
                    self._across.stream_ended(room.id, ending)
                case ChangeRecording(state=state) if state is not None:
                    if state == "deleted":
                        self.closing.wake()
                    self._recordings_changed(room.id)
                case HideRecordings():
                    self._recordings_changed(room.id)
                case _:
                    pass

    def _follow(self, room: Room, event: e.Logged) -> None:
        match event:
            case e.MemberBanned() | e.MemberKicked() | e.MemberLeft() if room.kind == "live":
                self.closing.wake()
                if not isinstance(event, e.MemberLeft) or room.visibility == "private":
                    self.viewer_gone(room.id, event.user)
            case e.MemberRoleChanged() | e.RoomClosed():
                self.closing.wake()
            case e.LiveStarted():
                self.begun(room.id)
                self._across.stream_begun(room.id)
                self._spawn(self._push_anew(room.id))
            case _:
                pass

    async def _push_anew(self, room: str) -> None:
        """A test, which went nowhere, may have become what everybody sees."""
        self._destinations_changed((await self._around.store.stream(room)).user)

    def viewer_gone(self, room: str, user: str) -> None:
        """The user may watch the room no longer."""
        self.remove_viewer(room, user)
        self._across.viewer_gone(room, user)

    def _recordings_changed(self, room: str) -> None:
        self.recordings_changed(room)
        self._across.recordings_changed(room)

    def _destinations_changed(self, user: str) -> None:
        self.push(user)
        self._across.destinations_changed(user)

    # What is done on each node

    def end(self, room: str, ending: Ending) -> None:
        if ending.reason != "moved":
            self.viewers.ended(room)
            self._spawn(self.reach.ended(room, ending.session, REASONS[ending.reason]))
        if ending.process in self.reach.processes:
            self._spawn(self.reach.stop(ending.process, room, ending.fence, REASONS[ending.reason]))

    def remove_viewer(self, room: str, user: str) -> None:
        self._spawn(self.reach.remove_viewer(room, user))

    def recordings_changed(self, room: str) -> None:
        """Who reads one may not be allowed to any more."""
        self._spawn(self.reach.recordings_changed(room))

    def begun(self, room: str) -> None:
        """A test may have become what everybody sees."""
        self.viewers.begun(room)
        self._spawn(self.reach.refresh(room))
        self._spawn(self._make_public(room))

    async def _make_public(self, room: str) -> None:
        stream = await self._around.store.stream(room)
        if stream.process in self.reach.processes and not stream.test:
            self.make_public(room, stream.process, stream.session)

    def make_public(self, room: str, process: str, session: str) -> None:
        self._spawn(self.reach.make_public(process, room, session, self.record))

    def push(self, user: str) -> None:
        """The user's streams here go to the destinations that they have now."""
        self._spawn(self._push(user))

    async def _push(self, user: str) -> None:
        """One after the other: what was read before a change is never told after it."""
        async with self._pushing.setdefault(user, asyncio.Lock()):
            here = [
                (room, stream)
                for room, stream in await self._around.store.streams_of(user=user)
                if stream.process in self.reach.processes and not stream.test
            ]
            destinations = await self.destinations.of(user) if here else ()
            for room, stream in here:
                await self.reach.push_to(stream.process, room, destinations)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # where it was cancelled before it began


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """What a media process does not hear it is told again (`Closing.watch`), or asks for when it is back."""
    try:
        await work
    except (Refused, ports.Unavailable) as error:
        log.warning("media_not_told", reason=str(error))
    except Exception:
        log.exception("live_failed")
