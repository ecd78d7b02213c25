"""Stores on the tests' own PostgreSQL server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from realtime.ports import Clock
from realtime.stores.migrate import upgrade
from realtime.stores.postgres import PostgresStore
from realtime.stores.postgres_driver import PostgresDriver
from realtime.stores.schema import metadata, unindexed
from tests.realtime.stores.building import NOW
from tests.support.postgres import PostgresServer

PATIENT_MS = 20_000


def postgres_store(server: PostgresServer, database: str, clock: Clock = lambda: NOW, **options: Any) -> PostgresStore:
    settings = {"timeout_ms": PATIENT_MS, "write_lanes": 2, "read_connections": 2} | options
    return PostgresStore(server.url(database), clock, **settings)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    with PostgresDriver(url, PATIENT_MS).connect(time.monotonic() + PATIENT_MS / 1_000) as connection:
        yield connection


def migrated(server: PostgresServer) -> str:
    """A new database with the schema."""
    name = server.new_database()
    with connected(server.url(name)) as connection:
        connection.exec_driver_sql("BEGIN")
        upgrade(connection)
        connection.exec_driver_sql("COMMIT")
    return name


def empty(server: PostgresServer, database: str) -> None:
    """Takes all rows out."""
    tables = (table.name for table in metadata.sorted_tables if table is not unindexed)
    server.execute("; ".join(f"DELETE FROM {table}" for table in tables), database)  # noqa: S608
