"""A stream pushed to one destination, over all its connections."""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable
from typing import Any, Literal

import structlog
from msgspec import Struct

from relay.ports import Destination, Reason
from relay.push.addresses import Networks, NotAllowed
from relay.push.connection import Configs, Connection, Stalled, connect
from relay.push.lookups import LookUp
from relay.push.queue import UnitQueue
from relay.push.status import PushStatus, State, delay
from relay.push.target import read_target
from relay.rtmp.errors import Violation
from relay.rtmp.publish_session import Rejected
from relay.units import HZ, Unit

log = structlog.get_logger("relay.push")


MOST_ERROR = 200
"""Characters of what a destination says of itself."""


class PushSettings(Struct, frozen=True):
    """`networks`: private ones that are allowed nevertheless."""

    networks: Networks = ()
    queue_bytes: int = 8 * 1024 * 1024
    queue_seconds: float = 8.0
    connect_seconds: float = 10.0
    stalled_seconds: float = 10.0
    report_seconds: float = 2.0
    retry_seconds: float = 5.0
    refused_seconds: float = 30.0
    goodbye_seconds: float = 2.0


class RtmpDestination:
    """A `relay.ports.Output`, whose `run` is a task of its own.

    What can go wrong at the other side (it is gone, refuses, stalls, ends, sends nonsense, has a wrong certificate or a
    private address) is a status and another attempt later, in at most `retry_seconds`, and `refused_seconds` where it
    refused; meanwhile units are dropped, and each connection begins with a keyframe. A stalled one has its queue
    dropped to the next keyframe, and is left after `stalled_seconds`.
    """

    audio: Literal["aac", "opus"] = "aac"

    def __init__(
        self,
        destination: Destination,
        settings: PushSettings,
        look_up: LookUp,
        report: Callable[[PushStatus], None],
        tls: ssl.SSLContext,
    ):
        """Raises ValueError for a URL that is none."""
        self.destination = destination
        self._target = read_target(destination.url)
        self._settings, self._look_up, self._report, self._tls = settings, look_up, report, tls
        self._status = PushStatus(destination.id, destination.name, self._target.shown, "connecting")
        self._queue: UnitQueue | None = None
        self._known: Configs = {}
        self._wake = asyncio.Event()
        self._ended = asyncio.Event()
        self._dropped = 0
        self._counted, self._counted_at = 0, 0.0

    @property
    def wants_keyframe(self) -> bool:
        return self._queue is not None and self._queue.wants_keyframe

    def unit(self, unit: Unit) -> None:
        if unit.config.codec == "vp8":
            if not self._ended.is_set():
                self._tell("refused", "RTMP platforms take no VP8: publish in H.264")
                self._ended.set()
            return
        self._known[unit.kind] = unit.config
        if self._queue is not None:
            self._queue.put(unit)
            self._wake.set()

    def interrupted(self) -> None:
        """The destination keeps its connection, and waits with us."""

    def ended(self, reason: Reason) -> None:
        if reason in {"taken_down", "banned"} and self._queue is not None:
            while self._queue.get() is not None:
                pass
        self._ended.set()
        self._wake.set()

    async def run(self) -> None:
        """Until `ended`."""
        failures = refusals = 0
        while not self._ended.is_set():
            self._tell("connecting")
            try:
                await self._serve()
            except (Rejected, NotAllowed, Violation) as error:
                failures, refusals = 0, refusals + 1
                await self._pause("refused", str(error), delay(refusals, self._settings.refused_seconds, random.random))
            except Exception as error:
                if not isinstance(error, OSError | Stalled):
                    log.exception("push_failed", destination=self._status.id)
                failures, refusals = failures + 1, 0
                await self._pause(
                    "retrying", _describe(error), delay(failures, self._settings.retry_seconds, random.random)
                )
        self._tell("stopped")

    async def _serve(self) -> None:
        """One connection, from its attempt until the stream has ended. Raises what ended it before."""
        connecting = asyncio.create_task(self._connect())
        connection = await _first(connecting, asyncio.create_task(self._ended.wait()))
        if not isinstance(connection, Connection):
            return
        self._queue = UnitQueue(self._settings.queue_bytes, int(self._settings.queue_seconds * HZ))
        self._counted, self._counted_at = connection.sent, asyncio.get_running_loop().time()
        self._tell("live")
        try:
            await _first(
                asyncio.create_task(self._send(connection, self._queue)),
                asyncio.create_task(connection.read()),
                asyncio.create_task(self._overdue()),
            )
        finally:
            connection.abort()
            self._dropped += self._queue.dropped
            self._queue = None

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(self._settings.connect_seconds):
                connection = await connect(self._target, self._settings.networks, self._look_up, self._tls)
                try:
                    await connection.negotiate()
                except BaseException:
                    connection.abort()
                    raise
                return connection
        except TimeoutError:
            raise Stalled(f"it did not answer within {self._settings.connect_seconds:g} s") from None

    async def _send(self, connection: Connection, queue: UnitQueue) -> None:
        while True:
            unit = queue.get()
            if unit is not None:
                await connection.send(unit, self._known, self._settings.stalled_seconds)
            elif self._ended.is_set():
                await connection.goodbye(self._settings.goodbye_seconds)
                return
            else:
                self._wake.clear()
                await self._wake.wait()
            self._count(connection, queue)

    async def _overdue(self) -> None:
        await self._ended.wait()
        await asyncio.sleep(self._settings.goodbye_seconds)

    def _count(self, connection: Connection, queue: UnitQueue) -> None:
        now = asyncio.get_running_loop().time()
        elapsed = now - self._counted_at
        if elapsed >= self._settings.report_seconds:
            kbit = int((connection.sent - self._counted) / elapsed / 125)
            self._counted, self._counted_at = connection.sent, now
            self._tell("live", kbit=kbit, dropped=queue.dropped)

    def _tell(self, state: State, error: str = "", kbit: int = 0, dropped: int = 0) -> None:
        status = self._status
        self._status = PushStatus(
            status.id, status.name, status.url, state, kbit, self._dropped + dropped, error or status.error
        )
        self._report(self._status)

    async def _pause(self, state: State, error: str, seconds: float) -> None:
        if self._ended.is_set():  # what went wrong while both sides parted is no error
            return
        said = "".join(letter if letter.isprintable() else " " for letter in self._target.without_secret(error))
        self._tell(state, said[:MOST_ERROR])
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)


async def _first(*tasks: asyncio.Task[Any]) -> Any:
    """What the first of them gives or raises; the others are cancelled."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(task for task in tasks if not task.cancelled()).result()


def _describe(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # also of names that are not found, whose errno is no error of the system
    return str(error) or type(error).__name__
