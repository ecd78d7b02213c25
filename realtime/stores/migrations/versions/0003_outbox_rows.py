"""The outbox holds a list of records in a row, not one."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE outbox RENAME COLUMN record TO records")
    op.execute("UPDATE outbox SET records = '[' || records || ']'")
