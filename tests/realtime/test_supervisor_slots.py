"""What the supervisor does about one slot: workers of the test's own, that end when they are told to."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from realtime import supervisor as module
from realtime.config import Config, Relay, Server
from realtime.slots import Slot
from realtime.supervisor import Supervisor

CONFIG = Config(server=Server(workers=2), relay=Relay(processes=0))


class Process:
    pid = 1
    returncode: int | None = None


class Puppet:
    """Stands for `Worker`."""

    def __init__(self, since: float):
        self.since = since
        self.leaving = False
        self.process = Process()
        self.told: list[signal.Signals] = []
        self.heard = asyncio.Event()
        self._over = asyncio.Event()

    def die(self, code: int = 1) -> None:
        self.process.returncode = code
        self._over.set()

    async def ended(self) -> int:
        await self._over.wait()
        assert self.process.returncode is not None
        return self.process.returncode

    async def ready(self) -> bool:
        return True

    def tell(self, number: signal.Signals) -> None:
        self.told.append(number)
        self.heard.set()


class House:
    """A supervisor with one slot, which is kept. Each start takes the next of `starts`: a failure, or a new puppet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.supervisor = Supervisor(CONFIG, ())
        self.slot: Any = Slot(0, 0, CONFIG)
        self.starts: list[OSError] = []
        self.started: list[Puppet] = []
        self.more = asyncio.Event()
        monkeypatch.setattr(self.supervisor, "_start", self._start)
        monkeypatch.setattr(self.supervisor, "_slots", [self.slot])

    def puppet(self, *, lived: float = 0.0) -> Any:
        return Puppet(asyncio.get_running_loop().time() - lived)

    async def _start(self, slot: Slot) -> Any:
        if self.starts:
            raise self.starts.pop(0)
        self.started.append(self.puppet())
        self.more.set()
        return self.started[-1]

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not true():
                self.more.clear()
                await self.more.wait()


@pytest.fixture
async def house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.001)
    house = House(monkeypatch)
    house.slot.take(house.puppet(lived=3_600))
    keeping = asyncio.create_task(house.supervisor._keep(house.slot))
    yield house
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_start_that_fails_is_tried_again_later_each_time(house: House) -> None:
    house.starts = [OSError("no memory")] * 5
    with capture_logs() as logs:
        house.slot.worker.die()
        await house.until(lambda: bool(house.started))
    assert [line["event"] for line in logs] == ["worker_died"] + ["cannot_start"] * 5
    assert house.slot.worker is house.started[0]


async def test_a_successor_that_dies_while_the_old_one_drains_is_started_again_at_once(house: House) -> None:
    old = house.slot.worker
    restarting = asyncio.create_task(house.supervisor._restart_all())
    await house.until(lambda: bool(house.started))
    await old.heard.wait()
    assert old.told == [signal.SIGUSR1]
    with capture_logs() as logs:
        house.started[0].die()
        await house.until(lambda: len(house.started) == 2)
        assert old.process.returncode is None
        old.die(0)
        await restarting
    assert [line["event"] for line in logs] == ["worker_died", "restart_given_up"]
    assert house.slot.worker is house.started[1]


async def test_a_worker_that_is_leaving_is_not_told_twice(house: House) -> None:
    old = house.slot.worker
    restarting = asyncio.create_task(house.supervisor._restart_all())
    await old.heard.wait()
    assert old.told == [signal.SIGUSR1]
    ending = asyncio.create_task(house.supervisor._end(old, signal.SIGTERM))
    await asyncio.sleep(0)
    assert old.told == [signal.SIGUSR1]
    old.die(0)
    await asyncio.gather(restarting, ending)
