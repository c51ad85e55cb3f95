"""What the gate looks at, counted by flag version; what it said; and what a flag version rests on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add two counters, the gate's verdicts, and the evidence of a flag version."""
    op.create_table(
        "outcome_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "flag_version", "side", "role", "state", name=op.f("pk_outcome_counts")),
    )
    op.create_table(
        "ratio_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("bin", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "flag_version", "bin", name=op.f("pk_ratio_counts")),
    )
    op.create_table(
        "gate_verdicts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task", "ordinal", name=op.f("pk_gate_verdicts")),
    )
    op.add_column("flag_versions", sa.Column("evidence", sa.Text(), nullable=True))
