from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.stores.sqlite import SQLiteStore
from tests.realtime.stores.building import NOW

MakeStore = Callable[..., SQLiteStore]


@pytest.fixture
async def make_store(tmp_path: Path) -> AsyncIterator[MakeStore]:
    """Makes stores on one file, to be opened by the test."""
    made: list[SQLiteStore] = []

    def make(**options: Any) -> SQLiteStore:
        made.append(SQLiteStore(tmp_path / "galaxy.db", lambda: NOW, **options))
        return made[-1]

    yield make
    for store in made:
        await store.close()
