"""Every adapter of a port is opened here; each contract suite runs on all of them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from realtime.ports import Store
from realtime.stores.sqlite import SQLiteStore
from tests.realtime.stores.building import NOW, Talk, talk
from tests.support.postgres_store import empty, postgres_store

OpenStore = Callable[[], Awaitable[Store]]


@pytest.fixture(params=["sqlite", "postgresql"])
async def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OpenStore]:
    """Opens one more instance, as another node would, on one and the same database."""
    opened: list[Store] = []
    if request.param == "postgresql":
        postgres = request.getfixturevalue("postgres")
        database = request.getfixturevalue("postgres_database")

        def make() -> Store:
            return postgres_store(postgres, database)
    else:

        def make() -> Store:
            return SQLiteStore(tmp_path / "galaxy.db", lambda: NOW)

    async def another() -> Store:
        store = make()
        await store.open()
        opened.append(store)
        return store

    yield another
    for store in opened:
        await store.close()
    if request.param == "postgresql":
        empty(postgres, database)


@pytest.fixture
async def store(open_store: OpenStore) -> Store:
    return await open_store()


@pytest.fixture
async def room(store: Store) -> Talk:
    """A public group `r1` that ann owns."""
    return await talk(store)
