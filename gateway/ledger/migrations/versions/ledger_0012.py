"""Runs of what had ended before, told apart from records that come twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the column; of what came before nothing is known."""
    op.add_column("outcomes", sa.Column("reruns", sa.Text(), server_default="", nullable=False))
