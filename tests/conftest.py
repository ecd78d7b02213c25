"""Servers that the whole run shares."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from loadtest import ports
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated

# How long something takes is no property of it: machines are busy.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

# Tests beside each other have ports of their own: one that is free now may be that of a server that is yet to start.
_beside = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ports.PORTS = ports.PORTS[_number * len(ports.PORTS) // _beside : (_number + 1) * len(ports.PORTS) // _beside]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres: PostgresServer) -> str:
    """A database with the schema, which each test leaves empty: to make it anew takes a hundred times as long."""
    return migrated(postgres)
