"""The ledger as it began: raw records, what is counted from them, and the flags' past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_records()
    _create_counters()
    _create_groups()
    _create_flag_history()


def _create_records() -> None:
    op.create_table(
        "submissions",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("args", sa.Text(), nullable=False),
        sa.Column("kwargs", sa.Text(), nullable=False),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("cohort_key", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("shadow", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("bucket", sa.BigInteger(), nullable=True),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pending", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
    )
    op.create_index(
        "ix_submissions_pending",
        "submissions",
        ["due_at", "task"],
        unique=False,
        sqlite_where=sa.text("pending = 1"),
        postgresql_where=sa.text("pending = 1"),
    )
    op.create_index("ix_submissions_task_submitted_at", "submissions", ["task", "submitted_at"], unique=False)
    op.create_table(
        "outcomes",
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", "role", name=op.f("pk_outcomes")),
    )
    op.create_table(
        "comparisons",
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("missing", sa.Text(), nullable=True),
        sa.Column("differences", sa.Text(), nullable=False),
        sa.Column("authority_ms", sa.Double(), nullable=True),
        sa.Column("shadow_ms", sa.Double(), nullable=True),
        sa.Column("skew_ms", sa.Double(), nullable=True),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("ruleset_version", sa.Text(), nullable=False),
        sa.Column("compared_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_comparisons")),
    )
    op.create_index("ix_comparisons_task_verdict", "comparisons", ["task", "verdict", "compared_at"], unique=False)


def _create_counters() -> None:
    op.create_table(
        "verdict_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "hour", "flag_version", "verdict", name=op.f("pk_verdict_counts")),
    )
    op.create_index("ix_verdict_counts_hour", "verdict_counts", ["hour"], unique=False)
    op.create_table(
        "latency_histogram",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "role", "hour", "bucket", name=op.f("pk_latency_histogram")),
    )
    op.create_index("ix_latency_histogram_hour", "latency_histogram", ["hour"], unique=False)


def _create_groups() -> None:
    op.create_table(
        "difference_groups",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ignored_by", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("aspect", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("triage", sa.Text(), server_default="open", nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "ignored_by", name=op.f("pk_difference_groups")),
    )
    op.create_index("ix_difference_groups_task", "difference_groups", ["task"], unique=False)
    op.create_table(
        "group_counts",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ignored_by", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "ignored_by", "hour", name=op.f("pk_group_counts")),
    )
    op.create_index("ix_group_counts_hour", "group_counts", ["hour"], unique=False)
    op.create_table(
        "group_samples",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ignored_by", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("submission_id", sa.Text(), nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("shadow", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "ignored_by", "slot", name=op.f("pk_group_samples")),
    )


def _create_flag_history() -> None:
    op.create_table(
        "flag_versions",
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_flag_versions")),
    )
