"""By how much a submission's shadow starts later: its pair is waited for as much longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("submissions", sa.Column("shadow_delay_s", sa.BigInteger(), server_default="0", nullable=False))
