"""Difference groups by flag version, with who is affected and what a person said; times of trace nodes; the rules in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and tables; what was counted before has flag version 0."""
    for column in (
        sa.Column("triaged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("triaged_by", sa.Text(), server_default="", nullable=False),
        sa.Column("triage_note", sa.Text(), server_default="", nullable=False),
        sa.Column("cohorts", sa.Text(), server_default="", nullable=False),
    ):
        op.add_column("difference_groups", column)
    op.add_column("group_samples", sa.Column("flag_version", sa.BigInteger(), server_default="0", nullable=False))
    _count_groups_by_version()
    op.create_table(
        "task_cohorts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("cohorts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("task", name=op.f("pk_task_cohorts")),
    )
    op.create_table(
        "node_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("measure", sa.Text(), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "path", "measure", "bucket", name=op.f("pk_node_counts")),
    )
    op.create_table(
        "rule_sets",
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_rule_sets")),
    )


def _count_groups_by_version() -> None:
    # A primary key gets another column by way of another table: SQLite knows no other.
    op.create_table(
        "group_counts_by_version",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ignored_by", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "ignored_by", "hour", "flag_version", name=op.f("pk_group_counts_by_version")),
    )
    op.execute("insert into group_counts_by_version select fingerprint, ignored_by, hour, 0, n from group_counts")
    op.drop_table("group_counts")
    op.rename_table("group_counts_by_version", "group_counts")
    op.create_index("ix_group_counts_hour", "group_counts", ["hour"], unique=False)
