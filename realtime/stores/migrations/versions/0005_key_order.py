"""Idempotency keys stand in their own order, not in their users'."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("keys", "keys_by_user")
    op.drop_index("keys_at", "keys_by_user")
    op.create_table(
        "keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "user", "scope"),
        sqlite_with_rowid=False,
    )
    columns = '"key", "user", scope, body, reply, at'
    op.execute(f"INSERT INTO keys ({columns}) SELECT {columns} FROM keys_by_user ORDER BY 1, 2, 3")  # noqa: S608
    op.drop_table("keys_by_user")
    op.create_index("keys_at", "keys", ["at"], unique=False)
