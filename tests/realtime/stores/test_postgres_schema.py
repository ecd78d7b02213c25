"""PostgreSQL's schema: what the tables say, and the log in partitions."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from realtime.stores.migrate import upgrade
from realtime.stores.schema import metadata
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import connected


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    return postgres.new_database()


def migrate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
    upgrade(connection)
    connection.exec_driver_sql("COMMIT")


def wanted(name: str | None, kind: str, parents: object) -> bool:
    """All but partitions and words, which SQLAlchemy has no words for, and what only SQLite has."""
    if kind == "table":
        return name != "unindexed" and name is not None and not name[-1].isdigit()
    return name not in {"words", "messages_words"} and kind != "foreign_key_constraint"


def test_migrations_make_the_schema_and_can_run_again(postgres: PostgresServer, database: str) -> None:
    with connected(postgres.url(database)) as connection:
        for _ in range(2):
            migrate(connection)
        options = {"include_name": wanted, "include_object": lambda _object, name, kind, *_: wanted(name, kind, None)}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_a_room_is_in_one_partition_of_the_log(postgres: PostgresServer, database: str) -> None:
    with connected(postgres.url(database)) as connection:
        migrate(connection)
    postgres.execute(
        "INSERT INTO events (room, pos, type, at, author, role) SELECT room, pos, 't', 0, 'a', 'member' "
        "FROM generate_series(1, 200) AS room, generate_series(1, 3) AS pos",
        database,
    )
    found = postgres.execute("SELECT room, count(DISTINCT tableoid) FROM events GROUP BY room", database)
    assert [partitions for _, partitions in found] == [1] * 200
    assert len(postgres.execute("SELECT DISTINCT tableoid FROM events", database)) == 16
