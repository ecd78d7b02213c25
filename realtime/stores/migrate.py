"""Brings a database's schema up to date."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from msgspec import Struct
from sqlalchemy import Connection

_BEFORE_POSTGRESQL = "0006"
"""The revisions up to this one are SQLite's own history."""


class Migrated(Struct, frozen=True):
    """Revisions of the schema; None for a database that had none."""

    before: str | None
    after: str | None


def upgrade(connection: Connection, to: str = "head") -> Migrated:
    """Runs the migrations up to `to` that the database lacks, within the transaction that the connection is in."""
    with as_file(files("realtime.stores") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        before = _revision(connection)
        if before is None and connection.dialect.name == "postgresql":
            command.stamp(config, _BEFORE_POSTGRESQL)
        command.upgrade(config, to)
        return Migrated(before, _revision(connection))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
