"""`kill -9` of a worker: its clients go on with the others, nothing is lost, and it is started again."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.faults.kill import make_room
from tests.faults.rolling import Watch, under_load, until, workers, workers_of
from tests.support.server import NO_LIMITS, ServerProcess

MORE = 50
"""Messages that are acknowledged between one kill and the next."""


async def kill_each(server: ServerProcess, watch: Watch) -> None:
    for victim in sorted(workers(server)):
        os.kill(victim, signal.SIGKILL)
        before = len(watch.acknowledged)
        await until(lambda victim=victim: len(workers(server) - {victim}) == 3)  # type: ignore[misc]  # of its default
        await until(lambda before=before: len(watch.acknowledged) >= before + MORE)  # type: ignore[misc]


@pytest.mark.timeout(240)
async def test_clients_go_on_and_nothing_is_lost(tmp_path: Path) -> None:
    watch = Watch()
    with workers_of(tmp_path, 3, {}) as server:
        await make_room(server.url)
        await under_load(server.url, watch, lambda: kill_each(server, watch), visitors=0)
        assert len(watch.acknowledged) >= 3 * MORE
        assert await asyncio.to_thread(server.signal, signal.SIGTERM) == 0


def test_without_its_database_the_whole_does_not_start(tmp_path: Path) -> None:
    settings = NO_LIMITS | {
        "GALAXY_SERVER__WORKERS": "2",
        "GALAXY_STORE__URL": f"postgresql://me@/galaxy?host={tmp_path}",
        "GALAXY_BROKER__URL": "redis://127.0.0.1:1",
    }
    server = ServerProcess(tmp_path, settings)
    with pytest.raises(RuntimeError, match="ended with 1 before it listened"):
        server.start()
    assert server.wait() == 1
