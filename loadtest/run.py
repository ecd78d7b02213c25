"""One run from beginning to end: the server, the processes of the load, the scenario, and what was found."""

import asyncio
import contextlib
import os
import platform
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from msgspec import Struct

from loadtest.client import Lost
from loadtest.crew import Crew, Stopped
from loadtest.disk import disk_figures
from loadtest.options import Options, used_by
from loadtest.processes import cpu_seconds
from loadtest.recorder import Observer, Recorder
from loadtest.results import Failure, Run
from loadtest.scenarios import SCENARIOS
from loadtest.schedule import SECOND
from loadtest.server import HOST, Server
from loadtest.stage import Stage
from loadtest.waiting import until
from loadtest.watch import Watch

__all__ = ["Observer", "Target", "own_server", "run"]


class Target(Struct, frozen=True):
    """The server under load."""

    host: str
    port: int
    secret: str
    """That of its users' tokens."""
    pid: int | None
    """Its process, where that is on this machine and known."""
    folder: Path | None = None
    """Where it keeps its data, if it was started for this run."""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@contextlib.contextmanager
def own_server(folder: Path) -> Iterator[Target]:
    """A server of our own with its data in a folder within `folder`, which goes when it goes."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="loadtest-", dir=folder) as data, Server(Path(data)) as server:
        yield Target(HOST, server.port, server.secret, server.pid, Path(data))


async def run(options: Options, target: Target, observer: Observer | None = None) -> Run:
    """Plays the scenario. SIGINT or SIGTERM end it early; what was found by then is the result, `interrupted`.

    Raises Stopped, Lost, OSError where it could not go on before there was a result.
    """
    began = datetime.now(UTC)
    recorder = Recorder(options.processes, observer)
    crew = Crew(recorder.tick, recorder.fail)
    watch = Watch(target.url, target.pid)
    stage = Stage(options, target.host, target.port, target.secret, crew, watch, recorder)
    interrupted = False
    if target.folder is not None:
        stage.figures |= disk_figures(target.folder)
    try:
        async with _interruptible() as signals:
            playing = asyncio.create_task(_play(stage))
            watching = asyncio.create_task(_watch(stage))
            stopping = asyncio.create_task(signals.wait())
            abandoned = asyncio.create_task(stage.abandoned.wait())
            tasks = (playing, watching, stopping, abandoned)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            interrupted = stopping.done() and not playing.done()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in (playing, watching):
                if not task.cancelled() and (error := task.exception()) is not None:
                    _stopped(error, recorder)
    finally:
        stage.director.drop()
        await crew.finish()
        await watch.close()
        recorder.close()
    return Run(
        scenario=options.scenario,
        url="" if target.folder else target.url,
        started=began.isoformat(timespec="seconds"),
        options={name: getattr(options, name) for name in used_by(options.scenario)},
        machines=[machine()],
        seconds=recorder.seconds,
        failures=recorder.failures,
        failed=recorder.failed,
        interrupted=interrupted,
        figures=stage.figures,
    )


async def _play(stage: Stage) -> None:
    await stage.open()
    await SCENARIOS[stage.options.scenario](stage)


def _stopped(error: BaseException, recorder: Recorder) -> None:
    """What ended a run is a failure of it, if there is a run; anything but the server's doing is raised."""
    if not recorder.seconds or not isinstance(error, Stopped | Lost | OSError):
        raise error
    recorder.fail(Failure(kind="lost", text=str(error) or type(error).__name__))


async def _watch(stage: Stage) -> None:
    """Looks at the server once a second. It may be too busy to answer: those seconds are counted."""
    own = 0.0
    while True:
        at = stage.now
        await until(stage.started + (at + 1) * SECOND)
        try:
            server = await stage.watch.sample(stage.scrape)
        except httpx.HTTPError:
            stage.figures["seconds_unseen"] = stage.figures.get("seconds_unseen", 0) + 1
            server = {}
        total = sum(map(cpu_seconds, [os.getpid(), *stage.crew.pids]))
        if own:
            server["own_cpu"] = total - own
        own = total
        stage.recorder.sampled(at, server)


@contextlib.asynccontextmanager
async def _interruptible() -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C sets."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def machine() -> str:
    """Host, processor, cores, system."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{socket.gethostname()}: {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
