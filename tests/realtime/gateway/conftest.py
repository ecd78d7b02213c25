from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from tests.support.certificates import self_signed


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    """The gateway runs on uvloop, so its tests do: the edges differ (write_eof, aborts, buffer sizes)."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))
