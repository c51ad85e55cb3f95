"""What a caller says of a submission, and which targeting rule decided it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; submissions from before have no attributes and met no rule."""
    op.add_column("submissions", sa.Column("attributes", sa.Text(), server_default="{}", nullable=False))
    op.add_column("submissions", sa.Column("rule", sa.Text(), nullable=True))
