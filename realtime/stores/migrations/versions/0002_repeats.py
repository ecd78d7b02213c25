"""What was said within half a minute, in rooms that allow no repeats."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "repeats",
        sa.Column("room", sa.BigInteger(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["room"], ["rooms.num"]),
        sa.PrimaryKeyConstraint("room", "user", "digest"),
        sqlite_with_rowid=False,
    )
    op.create_index("repeats_at", "repeats", ["at"], unique=False)
