"""A room with a stage around it, of which log, store and memory say the same at the end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from realtime.stores.verify import Problem, verify
from tests.realtime.live.stage import Stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    await stage.start()
    await stage.room()
    yield stage
    problems: list[Problem] = []
    await verify(stage.store, problems.append)
    await stage.service.close()
    assert problems == []
