"""Brings a database's schema up to date."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection

_BEFORE_POSTGRESQL = "0006"
"""The revisions up to this one are SQLite's own history."""


def upgrade(connection: Connection, to: str = "head") -> None:
    """Runs the migrations up to `to` that the database lacks, within the transaction that the connection is in."""
    with as_file(files("realtime.stores") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        fresh = MigrationContext.configure(connection).get_current_revision() is None
        if fresh and connection.dialect.name == "postgresql":
            command.stamp(config, _BEFORE_POSTGRESQL)
        command.upgrade(config, to)
