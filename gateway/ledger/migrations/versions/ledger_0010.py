"""What a task's sides did over time; and indexes to look for submissions by time and verdict alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the table and the indexes."""
    op.create_table(
        "activity",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("step_s", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("total_ms", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("task", "step_s", "at", "series", name=op.f("pk_activity")),
    )
    op.create_index("ix_activity_at", "activity", ["step_s", "at"], unique=False)
    op.create_index("ix_submissions_submitted_at", "submissions", ["submitted_at"], unique=False)
    op.create_index("ix_comparisons_verdict", "comparisons", ["verdict", "compared_at"], unique=False)
