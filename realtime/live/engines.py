"""A gateway's way to the media and edge processes of its machine."""

import asyncio
import re
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import structlog
from msgspec.msgpack import Decoder

from realtime import ports
from realtime.config import Config
from realtime.edge.passing import Passer
from realtime.edge.ports import Gateway, Watching
from realtime.edge.process import asking_path, passing_path
from realtime.live.deletions import Deletions
from realtime.live.viewers import Viewers
from realtime.slots import EDGES
from relay.engine import Running
from relay.ports import Admitted, Claim, Destination, Gate, Reason, Recorded, Refused
from relay.process import engine_path
from relay.remote import RemoteEngine
from relay.rights import Asked
from relay.rpc import Counters, Peer, methods_of
from relay.rpc_links import Link

log = structlog.get_logger("realtime.live")

WATCHING_SECONDS = 2.0
_FOLDER = re.compile(r"[A-Za-z0-9_-]{1,128}")

_nothing = Decoder(None)
_watching = Decoder(tuple[Watching, ...])


class Lives(Protocol):
    """What control does (`realtime.live.rooms.LiveRooms`)."""

    viewers: Viewers

    def gate(self, process: str) -> Gate: ...

    async def process_gone(self, process: str) -> None: ...

    async def may_watch(self, room: str, user: str, *, granted: bool = False) -> bool: ...

    async def may_replay(self, room: str, recording: str, user: str, *, granted: bool = False) -> bool: ...


class MediaLink:
    """One media process, of which one after another may have this place; is the `Gate` of the present one. `name` is
    empty before the first has said its own.
    """

    def __init__(self, path: Path, number: int, lives: Lives, counters: Counters):
        self.number = number
        self.name = ""
        methods = {**methods_of(Gate, self), **methods_of(Asked, ViewerGate(lives))}
        self.link = Link(path, methods, counters=counters, greet=self._greet)
        self.engine = RemoteEngine(self.link)
        self._lives = lives

    @property
    def answers(self) -> bool:
        return self.link.peer is not None and bool(self.name)

    async def _greet(self, peer: Peer) -> None:
        name = await RemoteEngine(peer).name()
        former, self.name = self.name, name
        if former not in ("", name):
            self._lives.viewers.gone(former)
            try:
                await self._lives.process_gone(former)
            except ports.Unavailable as error:  # then its streams are found not to go on
                log.warning("process_gone_unnoted", process=former, reason=str(error))

    async def _gate(self) -> Gate:
        """Of whom this connection belongs to: what it asks before it has been greeted waits for that."""
        await self.link.made()
        return self._lives.gate(self.name)

    async def admit(self, claim: Claim) -> Admitted:
        return await (await self._gate()).admit(claim)

    async def flowing(self, room: str, session: str, fence: int) -> None:
        await (await self._gate()).flowing(room, session, fence)

    async def left(self, room: str, session: str, fence: int, reason: Reason) -> None:
        await (await self._gate()).left(room, session, fence, reason)

    async def recorded(self, recording: Recorded) -> None:
        await (await self._gate()).recorded(recording)

    async def report(self, room: str, user: str, event: dict[str, Any]) -> None:
        await (await self._gate()).report(room, user, event)


class ViewerGate:
    """What edge and media processes ask about viewers. Raises Refused(`unavailable`)."""

    def __init__(self, lives: Lives):
        self._lives = lives

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        try:
            return await self._lives.may_watch(room, user, granted=granted)
        except ports.Unavailable as error:
            raise Refused("unavailable", str(error), error.retry_after_ms) from error

    async def may_replay(self, room: str, recording: str, user: str, granted: bool) -> bool:
        try:
            return await self._lives.may_replay(room, recording, user, granted=granted)
        except ports.Unavailable as error:
            raise Refused("unavailable", str(error), error.retry_after_ms) from error


class Engines:
    """Is the `realtime.live.reach.Reach`. `counts`: this gateway is the one of its machine that says who watches.

    A process that stalls costs whoever asks it the deadline of the call, and nobody else anything.
    """

    def __init__(self, config: Config, lives: Lives, *, counts: bool):
        self.counters = Counters()
        run = config.data / "run"
        self.media = [
            MediaLink(engine_path(run, number), number, lives, self.counters)
            for number in range(config.relay.processes)
        ]
        edges = EDGES if config.relay.processes else 0
        methods = methods_of(Gateway, ViewerGate(lives))
        self._edges = [Link(asking_path(config, number), methods, counters=self.counters) for number in range(edges)]
        self.passers = [Passer(passing_path(config, number)) for number in range(edges)]
        self._media_folder = config.media_folder
        self._deletions = Deletions()
        self._node = config.relay.edge_url or socket.gethostname()
        self._viewers, self._counts = lives.viewers, counts
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        for link in (*(media.link for media in self.media), *self._edges):
            link.start()
        if self._counts and self._edges:
            self._task = asyncio.get_running_loop().create_task(self._count())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await asyncio.gather(*(link.close() for link in (*(media.link for media in self.media), *self._edges)))
        for passer in self.passers:
            passer.close()

    # Where what is

    def for_publisher(self, room: str) -> MediaLink:
        """The process that a new publisher of the room is sent to. Raises Refused where none answers."""
        answering = [media for media in self.media if media.answers]
        if not answering:
            raise Refused("unavailable", "No media process answers.", 1_000)
        return answering[crc32(room.encode()) % len(answering)]

    def named(self, process: str) -> MediaLink | None:
        """The media process of this name; None where it is none of those here."""
        return next((media for media in self.media if media.name == process), None)

    def numbered(self, number: int) -> MediaLink:
        """Raises Refused(`not_found`)."""
        if number >= len(self.media):
            raise Refused("not_found", "This session is over.")
        return self.media[number]

    # Reach

    @property
    def node(self) -> str:
        return self._node

    @property
    def processes(self) -> Collection[str]:
        return [media.name for media in self.media if media.answers]

    async def stop(self, process: str, room: str, fence: int, reason: Reason) -> None:
        await self._with(process, lambda media: media.engine.stop(room, fence, reason))

    async def publishers(self, process: str) -> tuple[Running, ...]:
        media = self.named(process)
        return await media.engine.publishers() if media is not None else ()

    async def make_public(self, process: str, room: str, session: str, record: bool) -> None:
        await self._with(process, lambda media: media.engine.make_public(room, session, record))

    async def push_to(self, process: str, room: str, destinations: tuple[Destination, ...]) -> None:
        await self._with(process, lambda media: media.engine.push_to(room, destinations))

    async def remove_viewer(self, room: str, user: str) -> None:
        await self._all([
            *(media.engine.remove_viewer(room, user) for media in self.media),
            *(edge.call(_nothing, "revoke", room, user) for edge in self._edges),
        ])  # fmt: skip

    async def ended(self, room: str, session: str, reason: Reason) -> None:
        await self._all([edge.call(_nothing, "ended", room, session, reason) for edge in self._edges])

    async def refresh(self, room: str) -> None:
        await self._all([edge.call(_nothing, "refresh", room) for edge in self._edges])

    async def recordings_changed(self, room: str) -> None:
        await self._all([edge.call(_nothing, "recordings_changed", room) for edge in self._edges])

    async def delete(self, folder: str) -> None:
        if not _FOLDER.fullmatch(folder):
            raise ValueError(f"no folder of a recording: {folder!r}")
        await self._deletions.delete(self._media_folder / folder)

    async def _with(self, process: str, ask: Callable[[MediaLink], Any]) -> None:
        if (media := self.named(process)) is not None:
            await ask(media)

    async def _all(self, asked: list[Any]) -> None:
        """Asks all at once. Raises the first Refused, once all have answered."""
        for error in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(error, BaseException):
                raise error

    async def _count(self) -> None:
        """Tells who watches, again and again; of a process that does not answer, nobody."""
        while True:
            await asyncio.sleep(WATCHING_SECONDS)
            for media in self.media:
                if not media.name:
                    continue
                try:
                    rooms = await media.engine.watching()
                except Refused:
                    rooms = {}
                self._viewers.report(media.name, {room: set(users) for room, users in rooms.items()})
            for number, edge in enumerate(self._edges):
                try:
                    found = await edge.call(_watching, "watching")
                except Refused:
                    found = ()
                self._viewers.report(f"edge-{number}", {one.room: {*one.stream, *one.hls} for one in found})
