"""A submission's decision may be followed by another, when a flag change moves it before it started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make room for how often, and for what the last one was."""
    op.add_column("submissions", sa.Column("redirects", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("submissions", sa.Column("redirected", sa.Text(), nullable=True))
