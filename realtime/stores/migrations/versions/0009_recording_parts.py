"""How many MP4 files a recording is. Those from before are taken for one: most are."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("recordings", sa.Column("parts", sa.Integer(), nullable=False, server_default="1"))
