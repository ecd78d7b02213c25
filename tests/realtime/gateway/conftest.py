from collections.abc import Callable

import pytest
import uvloop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], uvloop.Loop]]:
    """The gateway runs on uvloop, so its tests do: the edges differ (write_eof, aborts, buffer sizes)."""
    return {"uvloop": uvloop.new_event_loop}
