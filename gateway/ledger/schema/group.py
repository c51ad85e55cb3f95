"""Difference groups, their counters and samples: they grow with distinct differences and hours only."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.ledger.schema.column import BoundedInteger, CleanText, KeyText, UtcTime, column, metadata

__all__ = ["difference_groups", "group_counts", "group_samples"]

difference_groups = sa.Table(
    "difference_groups",
    metadata,
    column("fingerprint", KeyText, key=True),
    # The rule that hides it, "" for none: a group seen both ways counts twice, so that a rule never hides what it does not cover.
    column("ignored_by", KeyText, key=True),
    column("task", KeyText),
    column("aspect", CleanText),
    column("kind", CleanText),
    column("path", CleanText),
    column("count", sa.BigInteger),
    column("first_seen", UtcTime),
    column("last_seen", UtcTime),
    sa.Column("triage", CleanText, nullable=False, server_default="open"),
    column("triaged_at", UtcTime, null=True),
    sa.Column("triaged_by", CleanText, nullable=False, server_default=""),
    sa.Column("triage_note", CleanText, nullable=False, server_default=""),
    # A sketch of the cohort keys affected.
    sa.Column("cohorts", CleanText, nullable=False, server_default=""),
)
sa.Index("ix_difference_groups_task", difference_groups.c.task)

group_counts = sa.Table(
    "group_counts",
    metadata,
    column("fingerprint", KeyText, key=True),
    column("ignored_by", KeyText, key=True),
    column("hour", UtcTime, key=True),
    column("flag_version", BoundedInteger, key=True),
    # The targeting rule that decided, "" for none.
    column("cohort", KeyText, key=True),
    column("n", sa.BigInteger),
)
# All a trend needs: it is read without the table.
sa.Index("ix_group_counts_hour", group_counts.c.hour, group_counts.c.fingerprint, group_counts.c.ignored_by, group_counts.c.n)

group_samples = sa.Table(
    "group_samples",
    metadata,
    column("fingerprint", KeyText, key=True),
    column("ignored_by", KeyText, key=True),
    column("slot", sa.SmallInteger, key=True),
    column("submission_id", KeyText),
    column("authority", CleanText),
    column("shadow", CleanText),
    sa.Column("flag_version", BoundedInteger, nullable=False, server_default="0"),
)
# Whether a submission is a sample: it outlasts the others.
sa.Index("ix_group_samples_submission_id", group_samples.c.submission_id)
