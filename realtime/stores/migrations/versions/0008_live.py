"""Live streams, stream keys, destinations, and what is recorded."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _table(name: str, *columns: sa.Column, key: tuple[str, ...]) -> None:  # type: ignore[type-arg]  # of any types
    """With a foreign key to the room on SQLite alone, as all tables (revision 0007 says why)."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    of_room = [sa.ForeignKeyConstraint(["room"], ["rooms.num"])] if sqlite and columns[0].name == "room" else []
    op.create_table(name, *columns, *of_room, sa.PrimaryKeyConstraint(*key), sqlite_with_rowid=False)


def upgrade() -> None:
    _table(
        "lives",
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("session", _TEXT, nullable=False),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("category", _TEXT),
        sa.Column("mature", sa.Boolean(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("interrupted", sa.BigInteger()),
        sa.Column("first_pos", sa.BigInteger(), nullable=False),
        sa.Column("last_pos", sa.BigInteger()),
        sa.Column("taken_down", sa.Boolean(), nullable=False),
        key=("room", "session"),
    )
    op.create_index("lives_open", "lives", ["room", "last_pos"])
    _table(
        "streams",
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("session", _TEXT, nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("node", _TEXT, nullable=False),
        sa.Column("process", _TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("category", _TEXT),
        sa.Column("mature", sa.Boolean(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        key=("room",),
    )
    op.create_index("streams_until", "streams", ["until"])
    op.create_index("streams_process", "streams", ["process", "state"])
    op.create_index("streams_user", "streams", ["user", "state"])
    _table(
        "stream_keys",
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary()),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("kyc", sa.Boolean(), nullable=False),
        key=("room", "user"),
    )
    op.create_index("stream_keys_hash", "stream_keys", ["hash"], unique=True)
    _table(
        "destinations",
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("url", _TEXT, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        key=("user", "id"),
    )
    op.create_index("destinations_name", "destinations", ["user", "name"], unique=True)
    _table(
        "recordings",
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("id", _TEXT, nullable=False),
        sa.Column("user", _TEXT, nullable=False),
        sa.Column("session", _TEXT, nullable=False),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("length_ms", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("folder", _TEXT, nullable=False),
        sa.Column("node", _TEXT, nullable=False),
        key=("room", "id"),
    )
    op.create_index("recordings_listed", "recordings", ["room", "started_at", "id"])
    op.create_index("recordings_node", "recordings", ["node", "state"])
