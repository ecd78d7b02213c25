"""Servers that the whole run shares."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated

# How long something takes is no property of it: machines are busy.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres: PostgresServer) -> str:
    """A database with the schema, which each test leaves empty: to make it anew takes a hundred times as long."""
    return migrated(postgres)
