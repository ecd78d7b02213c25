"""The client: one connection at a time, replaced whenever it is lost, with everything above it carried over."""

import asyncio
import contextlib
import logging
import random as _random
from collections.abc import Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import websockets

from realtime.client.backoff import Backoff, Clock, SystemClock
from realtime.client.commands import UserCommands
from realtime.client.errors import Closed, CommandError, ConnectionLost, ProtocolViolation, UpgradeRefused
from realtime.client.events import USER_EVENTS, Position, User, decode_event
from realtime.client.link import CodecName, Link, LinkClosed, open_link, socket_url
from realtime.client.outbox import OnReply, Outbox
from realtime.client.rooms import Room
from realtime.client.stream import EventStream

TokenProvider = Callable[[], Awaitable[str]]

SILENCE_SECONDS = 30.0
DEAD_SECONDS = 10.0
STABLE_SECONDS = 10.0  # a connection that lived this long starts the backoff anew
DRAIN_SECONDS = 5.0  # how long a replaced connection may still answer what was sent on it
RESEND_BURST = 32  # below the server's burst of commands a connection

_TOKEN_EXPIRED, _BAD_TOKEN = 3005, 3500
_OUR_FAULT = frozenset({1002, 1003, 1007, 1009, 1010})
_RETRIED_STATUS = frozenset({408, 425, 429})

_log = logging.getLogger("galaxy_live.client")


class Client(UserCommands):
    """A connection to a galaxy-live server that survives its loss.

    `url` is the server's http, https, ws or wss address. `token` is a string, or an async function that is asked for
    one at the start, before it expires and after it was refused (it may raise OSError for "try again"; anything else
    it raises ends the client); without it the client says `hello {}`. `queue` bounds the events waiting in one room
    (see `Room` for what happens above it); `outbox` bounds the unanswered commands, above which `command` waits.
    `open_timeout` (seconds, None: no end) bounds how long entering tries. `random` gives floats in [0, 1).

    Entering raises OSError or ConnectionLost where no connection came about in time, Closed or UpgradeRefused where
    the server says no. Later such ends are raised by every pending and later call and by the event streams.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | TokenProvider | None = None,
        codec: CodecName = "json",
        queue: int = 1000,
        outbox: int = 1000,
        open_timeout: float | None = 10.0,
        backoff_base: float = 0.5,
        backoff_cap: float = 20.0,
        random: Callable[[], float] = _random.random,
        clock: Clock | None = None,
    ) -> None:
        self._url = socket_url(url)
        self._provider = None if isinstance(token, str) else token
        self._token = token if isinstance(token, str) else None
        self._token_refused = False
        self._codec: CodecName = codec
        self.queue_limit = queue
        self._open_timeout = open_timeout
        self._random = random
        self._clock: Clock = clock or SystemClock()
        self._backoff = Backoff(random, base=backoff_base, cap=backoff_cap)
        self._outbox = Outbox(outbox, self._wake_rooms)
        self._user_stream = EventStream(queue)
        self._rooms: dict[str, Room] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._link: Link | None = None
        self._ready: asyncio.Future[None]
        self._writer: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self.user: User
        self.session: str
        self.limits: dict[str, Any]
        self.dropped_user_events = 0

    async def __aenter__(self) -> Self:
        self._ready = asyncio.get_running_loop().create_future()
        self.spawn(self._supervise())
        try:
            await self._ready
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stop()

    def room(self, room: str, *, since: Position | None = None) -> Room:
        """A room to enter with `async with`, or to send commands to without listening.

        With `since` the join recovers from there, as `Room.position` said it before.
        """
        return Room(self, room, since)

    def events(self) -> EventStream:
        """User events (`UserChanged`, `Mention`, `Invited`, `PendingResolved`) and others of rooms not entered.

        They are ephemeral: above `queue` unread ones the oldest is dropped and counted in `dropped_user_events`.
        """
        return self._user_stream

    async def command(self, type: str, /, *, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """Send a command and return its `ok` reply; fields that are None are left out.

        A command given while disconnected waits for the connection. With a `key` it is sent again, under the same
        key, until it is answered; without one it raises ConnectionLost where the connection ended before its reply.
        Raises CommandError for an `error` reply.
        """
        body = {"type": type, **{name: value for name, value in fields.items() if value is not None}}
        if key is not None:
            body["key"] = key
        return await self._outbox.submit(body)

    # What rooms use.

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def awaits_reply(self) -> bool:
        """Whether the application waits for a reply, and so may not be reading events."""
        return self._outbox.awaited or any(room.entering for room in self._rooms.values())

    def is_current(self, link: Link) -> bool:
        return link is self._link

    def register(self, room: Room) -> None:
        if self._failure is not None:
            raise self._failure
        if room.id in self._rooms:
            raise ValueError(f"room: {room.id} is entered already")
        self._rooms[room.id] = room
        self._wake_rooms()

    def unregister(self, room: Room) -> None:
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]

    async def submit_own(self, body: dict[str, Any], on_ok: OnReply | None = None) -> dict[str, Any]:
        return await self._outbox.submit(body, on_ok=on_ok, own=True, first=True)

    async def pause(self, retry_after_ms: int | None) -> None:
        """Wait before trying a refused join again."""
        await self._clock.sleep(1 + self._random() if retry_after_ms is None else retry_after_ms / 1000)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until the client ends; an exception of it ends the client."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)
        return task

    # Connecting.

    async def _supervise(self) -> None:
        link = await self._connect(None)
        while True:
            self._adopt(link)
            await link.leaving.wait()
            link = await self._connect(link)

    async def _connect(self, previous: Link | None) -> Link:
        """The next connection: at once where `previous` still lives, else after the backoff that its end asks for."""
        started = self._clock.time()
        if previous is not None and previous.ended is not None:
            self._judge(previous.ended)
            await self._clock.sleep(self._backoff.next())
        while True:
            try:
                if self._provider is not None and self._token is None:
                    self._token = await self._provider()
                return await open_link(self._url, self._token, self._codec, self._clock)
            except LinkClosed as error:
                self._judge(error)
                cause: Exception = ConnectionLost(f"closed before welcome: {error}")
            except websockets.InvalidStatus as error:
                status = error.response.status_code
                if 400 <= status < 500 and status not in _RETRIED_STATUS:
                    raise UpgradeRefused(status) from error
                cause = ConnectionLost(f"upgrade answered with HTTP {status}")
            except (OSError, websockets.InvalidHandshake) as error:
                cause = error if isinstance(error, OSError) else ConnectionLost(str(error))
            waited = self._clock.time() - started
            if not self._ready.done() and self._open_timeout is not None and waited >= self._open_timeout:
                raise cause
            _log.info("connecting failed, trying again: %s", cause)
            await self._clock.sleep(self._backoff.next())

    def _judge(self, ended: LinkClosed) -> None:
        """Raise Closed where the close code says not to come back; forget a token that it says is bad."""
        if ended.code == _BAD_TOKEN and self._provider is not None and not self._token_refused:
            self._token_refused, self._token = True, None
        elif 3500 <= ended.code <= 3999 or ended.code in _OUR_FAULT:
            raise Closed(ended.code, ended.reason)
        elif ended.code == _TOKEN_EXPIRED and self._provider is not None:
            self._token = None

    def _adopt(self, link: Link) -> None:
        """Make `link` the current connection; one that it replaces answers what it was sent, then closes."""
        previous, self._link = self._link, link
        self.user, self.session, self.limits = link.welcome.user, link.welcome.session, link.welcome.limits
        self._token_refused = False
        if previous is not None:
            self._detach_rooms()
            if self._writer is not None:
                self._writer.cancel()
            self.spawn(self._retire(previous))
        self.spawn(self._serve(link))
        if not self._ready.done():
            self._ready.set_result(None)

    async def _retire(self, link: Link) -> None:
        if self._outbox.answering(link):
            await self._clock.sleep(DRAIN_SECONDS)
        await link.close()

    # One connection.

    async def _serve(self, link: Link) -> None:
        writer, watch = self.spawn(self._write(link)), self.spawn(self._watch(link))
        self._writer = writer
        try:
            await self._read(link)
        except LinkClosed as ended:
            self._lost(link, ended)
        finally:
            writer.cancel()
            watch.cancel()

    def _lost(self, link: Link, ended: LinkClosed) -> None:
        link.ended = ended
        if self._clock.time() - link.opened_at >= STABLE_SECONDS:
            self._backoff.reset()
        if link is self._link:
            self._link = None
        self._outbox.lost(link)
        if self._link is None:
            self._detach_rooms()
        link.leaving.set()

    async def _write(self, link: Link) -> None:
        resent = 0
        rate = link.welcome.limits.get("commands_per_second") or 0
        while True:
            command = await self._outbox.next(link)
            try:
                await link.send(command.body)
            except LinkClosed:
                return  # The reader finds out as well, and settles what was sent.
            resent += command.resent
            if command.resent and resent >= RESEND_BURST and rate:
                await self._clock.sleep(1 / rate)

    async def _watch(self, link: Link) -> None:
        """Ask whether the server lives once it was silent; while this side reads nothing, silence means nothing."""
        while True:
            silent = self._clock.time() - link.heard_at
            if link.stalled or silent < SILENCE_SECONDS:
                await self._clock.sleep(DEAD_SECONDS if link.stalled else SILENCE_SECONDS - silent)
                continue
            asked = self._clock.time()
            self.spawn(self._ping())
            await self._clock.sleep(DEAD_SECONDS)
            if link.heard_at < asked:
                link.abort()
                return

    async def _ping(self) -> None:
        # Any answer is a sign of life, and a lost connection is the reader's to handle.
        with contextlib.suppress(ConnectionLost, CommandError):
            await self.submit_own({"type": "ping"})

    async def _read(self, link: Link) -> None:
        while True:
            raw = await link.receive()
            match raw["type"]:
                case "error" if "id" not in raw:
                    link.error_text = str(raw.get("message", ""))
                    _log.warning("the server reports %s: %s", raw.get("code"), link.error_text)
                case "ok" | "error":
                    self._outbox.answer(raw, link)
                    if link is not self._link and not self._outbox.answering(link):
                        await link.close()
                case "reconnect":
                    self.spawn(self._move(link, raw))
                case "token.expiring":
                    self.spawn(self._refresh())
                case _ if link is self._link:
                    await self._deliver(raw, link)

    async def _deliver(self, raw: dict[str, Any], link: Link) -> None:
        name = raw.get("room")
        room = self._rooms.get(name) if isinstance(name, str) and raw["type"] not in USER_EVENTS else None
        if room is not None:
            await room.deliver(raw, link)
        elif name is None or raw["type"] in USER_EVENTS or raw["type"] == "message.pending":
            if self._user_stream.full:
                self._user_stream.drop_oldest()
                self.dropped_user_events += 1
            self._user_stream.put(decode_event(raw))

    async def _move(self, link: Link, raw: dict[str, Any]) -> None:
        within = raw.get("within_ms")
        if not isinstance(within, int) or within < 0:
            raise ProtocolViolation(f"reconnect: within_ms: {within!r}")
        await self._clock.sleep(self._random() * within / 1000)
        link.leaving.set()

    async def _refresh(self) -> None:
        if self._provider is None:
            return
        try:
            self._token = await self._provider()
            await self.submit_own({"type": "refresh", "token": self._token})
        except ConnectionLost:
            pass  # The next connection presents the new token.
        except (OSError, CommandError) as error:
            _log.warning("token not refreshed, the server will end the connection: %s", error)

    # Ending.

    def _detach_rooms(self) -> None:
        for room in self._rooms.values():
            room.detach()

    def _wake_rooms(self) -> None:
        for room in self._rooms.values():
            room.wake()

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _fail(self, error: Exception) -> None:
        """End everything with `error`; the tasks are awaited by leaving the client."""
        if self._failure is not None:
            return
        self._failure = error
        if not self._ready.done():
            self._ready.set_exception(error)
        self._outbox.fail(error)
        self._user_stream.close(error)
        for room in list(self._rooms.values()):
            room.fail(error)
        for task in self._tasks:
            task.cancel()
        if self._link is not None:
            self._link.abort()

    async def _stop(self) -> None:
        link, self._link = self._link, None
        self._user_stream.close()
        for room in list(self._rooms.values()):
            room.end()
        self._fail(Closed(1000, "closed by this side"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if link is not None:
            await link.close()
