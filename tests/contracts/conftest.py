"""Every adapter of a port is opened here; each contract suite runs on all of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from realtime.ports import Store
from realtime.stores.sqlite import SQLiteStore
from tests.realtime.stores.building import NOW, Talk, talk

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens one more instance, as another node would, on one and the same database."""
    opened: list[Store] = []

    async def another() -> Store:
        assert request.param == "sqlite"
        store = SQLiteStore(tmp_path / "galaxy.db", lambda: NOW)
        await store.open()
        opened.append(store)
        return store

    yield another
    for store in opened:
        await store.close()


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
async def room(store: Store) -> Talk:
    """A public group `r1` that ann owns."""
    return await talk(store)
