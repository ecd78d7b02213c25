"""The processes of a server: started, started again when they die, replaced one by one (decisions 16 and 20).

Each has a *slot*: sockets that the supervisor binds and keeps open (SO_REUSEPORT: the kernel shares connections out
among the slots), so that who connects while a process is being replaced waits in the slot's queue and is not refused.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence

import structlog

from realtime import logs
from realtime.config import Config
from realtime.notify import announce, notify
from realtime.slots import Ports, Slot, Worker, check_free, make_slots

log = structlog.get_logger("realtime.supervisor")

STEADY_SECONDS = 10.0
"""A worker that lived this long is started again at once; one that did not, after a delay that doubles."""
FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
QUEUED_SECONDS = 1.0
"""The longest delay during which connections are left waiting in a slot's queue."""
READY_SECONDS = 60.0
"""A worker that is to replace another and takes longer has failed."""
GRACE_SECONDS = 10.0
"""Beyond `[server] drain_seconds`, after which a worker that was told to end is killed."""


class Supervisor:
    """`command` starts a worker. Call `run` once."""

    def __init__(self, config: Config, command: Sequence[str]):
        self._config, self._settings = config, config.server
        self._command = command
        self._slots = make_slots(config)
        self._ports = Ports(config.server.port, config.relay.rtmp_port, config.relay.edge_port)
        self._alive: set[Worker] = set()
        self._stopping = asyncio.Event()
        self._asked_to_restart = asyncio.Event()

    async def run(self) -> int:
        """Serves until SIGTERM or SIGINT has been obeyed. Returns the exit code: that of the first worker which could
        not be started at the beginning, else 0. Raises OSError where it cannot listen.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_restart.set)
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return 0 if self._stopping.is_set() else await working
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.wait({working, stopping})
            await asyncio.gather(*(self._end(worker, signal.SIGTERM) for worker in set(self._alive)))
            for slot in self._slots:
                slot.close()

    def _stop(self) -> None:
        """On the second signal workers end at once, as one alone would."""
        if self._stopping.is_set():
            for worker in self._alive:
                worker.tell(signal.SIGTERM)
        else:
            notify("STOPPING=1")
            self._stopping.set()

    async def _work(self) -> int:
        if code := await self._start_all():
            return code
        announce(self._settings.host, self._ports.server)
        async with asyncio.TaskGroup() as tasks:
            for slot in self._slots:
                tasks.create_task(self._keep(slot))
            while True:
                await self._asked_to_restart.wait()
                self._asked_to_restart.clear()
                notify("RELOADING=1")
                await self._restart_all()
                notify("READY=1")

    async def _start_all(self) -> int:
        """The first worker alone, as it may have to change the database; what is wrong it says once. Returns the exit
        code of one that could not start.
        """
        check_free(self._config)
        for slot in self._slots:
            slot.open(self._ports)  # before any starts, as each is told the ports of all
        for some in (self._slots[:1], self._slots[1:]):
            for slot in some:
                slot.take(await self._start(slot))
            for slot in some:
                if not await slot.worker.ready():
                    return abs(await slot.worker.ended()) or 1
        return 0

    async def _start(self, slot: Slot) -> Worker:
        slot.open(self._ports)
        worker = await Worker.start(self._command, slot, self._ports.environ(self._config.relay.processes))
        self._alive.add(worker)
        return worker

    async def _ended(self, worker: Worker) -> int:
        code = await worker.ended()
        self._alive.discard(worker)
        return code

    async def _end(self, worker: Worker, number: signal.Signals) -> None:
        """Tells it to end, unless it has been told, and kills it where it takes far longer than it may."""
        if not worker.leaving:
            worker.leaving = True
            worker.tell(number)
        try:
            async with asyncio.timeout(self._settings.drain_seconds + GRACE_SECONDS):
                await self._ended(worker)
        except TimeoutError:
            log.error("worker_killed", pid=worker.process.pid)  # noqa: TRY400 - there is no more to say
            worker.tell(signal.SIGKILL)
            await self._ended(worker)

    async def _keep(self, slot: Slot) -> None:
        """Starts a worker again whenever the slot's has died."""
        delay = 0.0
        while True:
            slot.changed.clear()
            worker = slot.worker
            code = await self._died(slot, worker)
            if code is None:
                continue
            steady = asyncio.get_running_loop().time() - worker.since >= STEADY_SECONDS
            delay = 0.0 if steady else _longer(delay)
            await self._let_nobody_wait(slot, worker, delay)
            log.error("worker_died", kind=slot.kind, slot=slot.number, pid=worker.process.pid, code=code)
            while slot.worker is worker:
                delay = await self._start_again(slot, worker, delay)

    async def _died(self, slot: Slot, worker: Worker) -> int | None:
        """Its exit code once it has ended; None as soon as another one has its place."""
        ended = asyncio.ensure_future(self._ended(worker))
        changed = asyncio.ensure_future(slot.changed.wait())
        try:
            await asyncio.wait({ended, changed}, return_when=asyncio.FIRST_COMPLETED)
            return ended.result() if ended.done() and slot.worker is worker else None
        finally:
            ended.cancel()
            changed.cancel()

    async def _let_nobody_wait(self, slot: Slot, dead: Worker, delay: float) -> None:
        """For longer than can be asked of them."""
        if delay > QUEUED_SECONDS:
            async with slot.changing:
                if slot.worker is dead:
                    slot.close()

    async def _start_again(self, slot: Slot, dead: Worker, delay: float) -> float:
        """After a delay, and unless somebody else has. Returns the delay of the next try, should there be one."""
        try:
            async with asyncio.timeout(delay):
                await slot.changed.wait()
        except TimeoutError:
            pass  # nobody else has
        try:
            async with slot.changing:
                if slot.worker is dead:
                    slot.take(await self._start(slot))
        except OSError as error:
            log.error("cannot_start", kind=slot.kind, slot=slot.number, reason=str(error))  # noqa: TRY400 - it says it all
            delay = _longer(delay)
            await self._let_nobody_wait(slot, dead, delay)
        return delay

    async def _restart_all(self) -> None:
        """One slot after the other, but for those of media processes, whose end would be that of their streams. The
        first new worker that does not become ready is the last: it would be no better in the other slots.
        """
        for slot in self._slots:
            if not slot.replaceable:
                continue
            async with slot.changing:
                worker = await self._successor(slot)
                if worker is None:
                    log.error("restart_given_up", kind=slot.kind, slot=slot.number)
                    return
                old = slot.worker
                slot.take(worker)
            await self._end(old, signal.SIGUSR1)
            if worker.process.returncode is not None:
                log.error("restart_given_up", kind=slot.kind, slot=slot.number)
                return
        log.info("restarted")

    async def _successor(self, slot: Slot) -> Worker | None:
        """Another worker on the slot's sockets, ready in time."""
        try:
            worker = await self._start(slot)
        except OSError as error:
            log.error("cannot_start", kind=slot.kind, slot=slot.number, reason=str(error))  # noqa: TRY400 - it says it all
            return None
        try:
            async with asyncio.timeout(READY_SECONDS):
                if await worker.ready():
                    return worker
        except TimeoutError:
            log.error("not_ready", kind=slot.kind, slot=slot.number, pid=worker.process.pid)  # noqa: TRY400
        worker.tell(signal.SIGKILL)
        await self._ended(worker)
        return None


def _longer(delay: float) -> float:
    return min(LONGEST_DELAY, max(FIRST_DELAY, 2 * delay))


def run(config: Config, command: Sequence[str]) -> int:
    """Serves with `[server] workers` gateways and `[relay] processes` media processes, each started by `command`.
    Returns the process's exit code.
    """
    logs.setup(config.log)
    try:
        return asyncio.run(_run(config, [sys.executable, *command]))
    except OSError as error:
        log.error("cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        return 1


async def _run(config: Config, command: Sequence[str]) -> int:
    return await Supervisor(config, command).run()
