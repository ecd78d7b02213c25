"""A created message's row is its event's: the log has none beside it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DELETE FROM events WHERE type = 'message.created'")
