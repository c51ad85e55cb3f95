"""Which submissions are samples of a difference group: they outlast the others."""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Add the index they are found by."""
    op.create_index("ix_group_samples_submission_id", "group_samples", ["submission_id"])
