"""How often owners have taken a room's stream from each other, and since when."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("streams", sa.Column("takeovers", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("streams", sa.Column("contested", sa.BigInteger(), nullable=False, server_default="0"))
