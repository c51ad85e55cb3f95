"""The flags' past is kept by their store alone; nothing was ever written here."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Drop the table."""
    op.drop_table("flag_versions")
