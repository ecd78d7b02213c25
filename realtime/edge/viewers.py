"""Those who watch fMP4 over WebSocket: from the gateway with a socket, or here with a pass."""

import asyncio
import re
from collections.abc import Collection, Container
from socket import SocketType

from realtime.edge.access import Access
from realtime.edge.live import Live, Lives, text
from realtime.edge.passing import Passed
from realtime.gateway.handshake import Handshake, Refused
from realtime.gateway.websocket import Connection
from relay import ports
from relay.ports import Bearer
from relay.units import HZ

UNSENT = 1024 * 1024
"""Bytes that may wait for a viewer, or as many as four seconds of the stream have, before parts are skipped."""
ENDED, OFFLINE, NOT_ALLOWED, REVOKED, AWAY = 1000, 3404, 3500, 3503, 3001
_PATH = re.compile(r"/v1/rooms/([A-Za-z0-9_.:-]{1,64})/stream")


class _Paths:
    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and _PATH.fullmatch(path) is not None


class Viewer:
    """One connection: a `Receiver`, and one of an `Audience`. What clients send is ignored."""

    def __init__(self, connection: Connection, doors: "Viewers", room: str, bearer: Bearer | None):
        """Of a `bearer` who has yet to be let in it is not known who they are."""
        self.connection, self.room, self.bearer = connection, room, bearer
        self.socket: SocketType | None = None
        self.live: Live | None = None
        self._doors = doors
        self._skipped_from: int | None = None
        self._last = 0
        self._init = 0

    @property
    def user(self) -> str:
        return self.bearer.user if self.bearer is not None else ""

    @property
    def clear(self) -> bool:
        return self._skipped_from is None and self.connection.clear

    def join(self, live: Live) -> None:
        """What decoding needs, then all parts as they come."""
        self.live, self.socket = live, self.connection.socket
        if live.init:
            self._init = live.init
            frames = [live.init_frames(), *(kept.frame for kept in live.backlog)]
            if live.interrupted:
                frames.append(text(type="interrupted"))
            self.connection.write(b"".join(frames))
        self._last = live.number
        if not live.backlog and live.init:
            self._skipped_from = 0  # it waits for a keyframe
        live.audience.add(self)

    def part(self, number: int, frame: bytes, independent: bool) -> None:
        live = self.live
        if live is None or number <= self._last:
            return
        if self._skipped_from is None and self.connection.unsent > max(UNSENT, live.bandwidth[0] // 2):
            self._skipped_from = live.backlog[-1].start if live.backlog else 0
        if self._skipped_from is None:
            self._last = number
            self.connection.write(frame)
        elif independent and not self.connection.unsent:
            self._catch_up(live)
        else:
            live.audience.counters.skipped += 1
        live.audience.drained(self)

    def said(self, frame: bytes) -> None:
        """Even while parts are skipped: it is small, and rare."""
        self.connection.write(frame)
        if self.live is not None:
            self.live.audience.drained(self)

    def rest(self, frame: bytes | memoryview) -> None:
        self.connection.write_now(frame)

    def stop(self, code: int, reason: str) -> None:
        """Nothing more is to be seen, also of what still waits: then the connection is cut without a word."""
        if self.connection.unsent:
            self.connection.abort()
        else:
            self.connection.close(code, reason)

    def _catch_up(self, live: Live) -> None:
        """From the newest keyframe on, where that is later than what it has had."""
        if self._skipped_from is None or not live.backlog or live.backlog[0].number <= self._last:
            return
        first, frames = live.backlog[0], []
        if self._skipped_from:
            frames.append(text(type="skipped", ms=max(0, first.start - self._skipped_from) * 1_000 // HZ))
        if live.init != self._init:
            frames.append(live.init_frames())
        self._skipped_from, self._last, self._init = None, live.number, live.init
        live.audience.settle_one(self)
        self.connection.write(b"".join([*frames, *(kept.frame for kept in live.backlog)]))

    # What the connection calls

    def message(self, data: bytes, text: bool) -> None:
        pass

    def waits(self) -> None:
        if self.live is not None:
            self.live.audience.waits(self)

    def choked(self) -> None:
        pass

    def writable(self) -> None:
        if self.live is not None:
            self._catch_up(self.live)
            self.live.audience.drained(self)

    def ending(self) -> None:
        if self.live is not None:
            self.live.audience.remove(self)

    def closed(self, code: int, reason: str) -> None:
        self._doors.forget(self)


class Viewers:
    """An `Acceptor`."""

    def __init__(self, lives: Lives, access: Access):
        self.all: set[Viewer] = set()
        self.paths: Container[str] = _Paths()
        self.subprotocols: Collection[str] = ()
        self._lives, self._access = lives, access
        self._passed: Passed | None = None
        self._too_many = False
        self._asking: set[asyncio.Task[None]] = set()

    def allows_origin(self, origin: str, host: str) -> bool:
        """Every: who may watch is said by the pass, which no page of another site has."""
        return True

    def take(self, passed: Passed, connection: Connection, *, too_many: bool) -> None:
        """The connection is made, and has read nothing yet. `too_many`: its address has as many as it may."""
        self._passed, self._too_many = passed, too_many
        try:
            connection.data_received(passed.head)
        finally:
            self._passed, self._too_many = None, False

    def accept(self, handshake: Handshake, connection: Connection) -> Viewer:
        passed = self._passed
        if self._too_many:
            raise Refused(503, "Too many connections.\n")
        found = _PATH.fullmatch(handshake.path)
        if found is None:
            raise Refused(404, "Not found.\n")
        if passed is not None:
            bearer = Bearer(passed.user, passed.granted, passed.until_ms)
            viewer = Viewer(connection, self, passed.room, bearer)
            self.all.add(viewer)
            if self._access.rights.denies(passed.room, bearer):  # a gateway had not heard of that when it let them in
                connection.close(NOT_ALLOWED, "you may not watch this room")
            else:
                self._enter(viewer)
            return viewer
        viewer = Viewer(connection, self, found[1], None)
        self.all.add(viewer)
        query = dict(pair.partition("=")[::2] for pair in handshake.query.split("&"))
        task = asyncio.get_running_loop().create_task(self._admit(viewer, query.get("pass", "")))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return viewer

    async def _admit(self, viewer: Viewer, text: str) -> None:
        try:
            viewer.bearer = await self._access.viewer(text, viewer.room)
        except ports.Refused as refused:
            viewer.connection.close(OFFLINE if refused.code == "unavailable" else NOT_ALLOWED, refused.message)
            return
        if not viewer.connection.closing:
            self._enter(viewer)

    def _enter(self, viewer: Viewer) -> None:
        live = self._lives.rooms.get(viewer.room)
        if live is None or live.over is not None or (live.began.test and live.began.user != viewer.user):
            viewer.connection.write(text(type="offline"))
            viewer.connection.close(OFFLINE, "offline")
            return
        viewer.connection.write(b"")  # completes the upgrade: from here on there is a socket
        viewer.join(live)

    def end(self, live: Live) -> None:
        """The stream is over: its viewers have been told."""
        live.audience.settle()
        for viewer in [one for one in self.all if one.live is live]:
            if live.hidden:
                viewer.stop(ENDED, "ended")
            else:
                viewer.connection.close(ENDED, "ended")

    def revoke(self, room: str, user: str) -> None:
        self._send_away([one for one in self.all if one.room == room and one.user == user])

    def _send_away(self, viewers: Collection[Viewer]) -> None:
        for viewer in viewers:
            viewer.stop(REVOKED, "you may not watch this room any more")

    async def ask_again(self) -> None:
        """`relay.rights.Rights.ask_again`."""
        await self._access.rights.ask_again(
            lambda: [(one.room, one.bearer) for one in self.all if one.bearer is not None],
            # Others of the same user may have come with a better token.
            lambda room, bearer: self._send_away([one for one in self.all if (one.room, one.bearer) == (room, bearer)]),
        )

    def leave(self) -> None:
        """The process goes: its viewers come again, to another."""
        for viewer in tuple(self.all):
            viewer.connection.close(AWAY, "shutting down")

    def forget(self, viewer: Viewer) -> None:
        self.all.discard(viewer)
