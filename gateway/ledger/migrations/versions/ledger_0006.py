"""Control runs: pairs of legacy and legacy, and how often each difference group is seen in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("comparisons", sa.Column("control", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_table(
        "control_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "fingerprint", name=op.f("pk_control_counts")),
    )
