"""A process of a run that holds connections: `python -m loadtest.worker`, told what to do on standard input."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import uvloop

from loadtest import orders as o
from loadtest.crowd import Crowd
from loadtest.files import allow_many
from loadtest.schedule import SECOND
from loadtest.tasks import Tasks

_decode = msgspec.json.Decoder(o.Order).decode
_encode = msgspec.json.Encoder().encode


def say(report: o.Report) -> None:
    sys.stdout.buffer.write(_encode(report) + b"\n")
    sys.stdout.buffer.flush()


class Worker:
    def __init__(self, task: o.Task):
        self._started = task.started
        self._at = (time.monotonic_ns() - task.started) // SECOND
        self._crowd = Crowd(task, lambda failure: say(o.Failed(failure)))
        self._tasks = Tasks(self._crowd)

    async def serve(self, lines: asyncio.StreamReader) -> None:
        """Does one order after the other, until Finish or the end of the input."""
        ticking = asyncio.create_task(self._tick())
        doing: asyncio.Task[None] | None = None
        while line := await lines.readline():
            order = _decode(line)
            if isinstance(order, o.Finish):
                break
            doing = asyncio.create_task(self._do(order))
        for task in (doing, ticking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        self._crowd.tidy(at_once=True)
        self._report_second()
        say(o.Done())

    async def _do(self, order: Any) -> None:
        handle: Callable[[Any], Awaitable[object]] = self._tasks.table[type(order)]
        try:
            result = await handle(order)
        except Exception as error:
            while isinstance(error, ExceptionGroup):
                error = error.exceptions[0]
            say(o.Broken(str(error) or type(error).__name__))
        else:
            say(o.Done(msgspec.Raw(_encode(result))))

    async def _tick(self) -> None:
        while True:
            due = self._started + (self._at + 1) * SECOND
            await asyncio.sleep((due - time.monotonic_ns()) / SECOND)
            self._report_second()
            self._crowd.tidy()

    def _report_second(self) -> None:
        say(o.Tick(self._crowd.second(self._at)))
        self._at = max(self._at + 1, (time.monotonic_ns() - self._started) // SECOND)


async def run() -> None:
    lines = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    task = msgspec.json.decode(await lines.readline(), type=o.Task)
    await Worker(task).serve(lines)


if __name__ == "__main__":
    allow_many()
    uvloop.run(run())
