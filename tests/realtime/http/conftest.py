from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.realtime.http.support import House, housed


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    """As the server runs."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as house:
        yield house
