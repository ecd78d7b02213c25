"""All destinations of one stream."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Protocol

import structlog

from relay.ports import Destination, Output
from relay.push.destination import PushSettings, RtmpDestination
from relay.push.lookups import LookUp
from relay.push.status import PushStatus
from relay.push.target import HIDDEN

log = structlog.get_logger("relay.push")


class Outputs(Protocol):
    """The stream's list of outputs."""

    def add(self, output: Output) -> None: ...

    def remove(self, output: Output) -> None: ...


class Pushes:
    """The destinations can be changed while the stream is live; those that stay are not touched.

    When the stream ends it tells its outputs; `close` waits until they have said goodbye.
    """

    def __init__(self, outputs: Outputs, settings: PushSettings, look_up: LookUp, report: Callable[[PushStatus], None]):
        self._outputs, self._settings, self._look_up, self._report = outputs, settings, look_up, report
        self._running: dict[str, RtmpDestination] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The authorities take their time to load: not for streams that are pushed nowhere."""
        return ssl.create_default_context()

    def push_to(self, destinations: Iterable[Destination]) -> None:
        """From now on exactly to these."""
        wanted = {destination.id: destination for destination in destinations}
        for id, running in list(self._running.items()):
            if wanted.get(id) != running.destination:
                del self._running[id]
                self._outputs.remove(running)
                running.ended("stopped")
        for id, destination in wanted.items():
            if id not in self._running:
                self._start(destination)

    async def close(self) -> None:
        """Ends them all; returns when they have ended."""
        self.push_to(())
        await asyncio.gather(*self._tasks)

    def _start(self, destination: Destination) -> None:
        try:
            output = RtmpDestination(destination, self._settings, self._look_up, self._report, self._tls)
        except ValueError as error:
            self._report(PushStatus(destination.id, destination.name, HIDDEN, "refused", error=str(error)))
            return
        self._running[destination.id] = output
        task = asyncio.create_task(output.run(), name="push")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        self._outputs.add(output)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("push_failed", error=type(error).__name__)
