"""The safety class a submission's shadow runs under; none of submissions from before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the column."""
    op.add_column("submissions", sa.Column("safety", sa.Text(), nullable=True))
