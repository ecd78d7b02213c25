"""The processes that hold a run's connections, as their parent sees them."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from loadtest import orders as o
from loadtest.results import Failure, Second

Result = TypeVar("Result")
LINE = 1 << 26
"""Bytes of a report, at most."""
GRACE = 5.0
"""Seconds that a process gets for its last report."""

_decode = msgspec.json.Decoder(o.Report).decode
_encode = msgspec.json.Encoder().encode


class Stopped(Exception):
    """The run cannot go on."""


class Crew:
    """`tick` is told each process's seconds, `failed` their failures."""

    def __init__(self, tick: Callable[[int, Second], None], failed: Callable[[Failure], None]):
        self._tick = tick
        self._failed = failed
        self._workers: list[asyncio.subprocess.Process] = []
        self._listening: list[asyncio.Task[None]] = []
        self._answers: list[asyncio.Queue[o.Done | o.Broken]] = []

    @property
    def pids(self) -> list[int]:
        return [worker.pid for worker in self._workers]

    async def start(self, tasks: list[o.Task]) -> None:
        """One process each."""
        for index, task in enumerate(tasks):
            worker = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "loadtest.worker",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE, start_new_session=True,
            )  # fmt: skip
            self._workers.append(worker)
            self._answers.append(asyncio.Queue())
            self._listening.append(asyncio.create_task(self._listen(index, worker)))
            await self._write(worker, task)

    async def order(self, order: o.Order, result: type[Result] | None = None) -> list[Result]:
        """Done by all at the same time; what each of them found. Raises Stopped."""
        for worker in self._workers:
            await self._write(worker, order)
        found: list[Any] = []
        for answers in self._answers:
            answer = await answers.get()
            if isinstance(answer, o.Broken):
                raise Stopped(answer.text)
            if result is not None:
                found.append(msgspec.json.decode(answer.result, type=result))
        return found

    async def finish(self) -> None:
        """Ends them; they report what there is."""
        for worker in self._workers:
            if worker.returncode is None:
                await self._write(worker, o.Finish())
        if self._listening:
            await asyncio.wait(self._listening, timeout=GRACE)
        for worker, listening in zip(self._workers, self._listening, strict=True):
            listening.cancel()
            if worker.returncode is None:
                worker.kill()
            await worker.wait()

    async def _write(self, worker: asyncio.subprocess.Process, thing: o.Order | o.Task) -> None:
        if worker.stdin is None:
            raise AssertionError("a worker has a standard input")
        try:
            worker.stdin.write(_encode(thing) + b"\n")
            await worker.stdin.drain()
        except ConnectionError as error:
            raise Stopped("a process of the load generator has ended") from error

    async def _listen(self, index: int, worker: asyncio.subprocess.Process) -> None:
        if worker.stdout is None:
            raise AssertionError("a worker has a standard output")
        while line := await worker.stdout.readline():
            report = _decode(line)
            if isinstance(report, o.Tick):
                self._tick(index, report.second)
            elif isinstance(report, o.Failed):
                self._failed(report.failure)
            else:
                self._answers[index].put_nowait(report)
        self._answers[index].put_nowait(o.Broken("a process of the load generator has ended"))
