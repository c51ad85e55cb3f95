"""Raw records: submissions, outcomes, comparisons. They grow with traffic and age out."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.ledger.schema.column import BoundedInteger, CleanText, KeyText, UtcTime, column, metadata

__all__ = ["comparisons", "is_pending", "outcomes", "submissions"]

submissions = sa.Table(
    "submissions",
    metadata,
    column("id", KeyText, key=True),
    column("task", KeyText),
    column("args", CleanText),
    column("kwargs", CleanText),
    column("options", CleanText),
    column("cohort_key", CleanText),
    sa.Column("attributes", CleanText, nullable=False, server_default="{}"),
    column("submitted_at", UtcTime),
    column("traceparent", CleanText, null=True),
    column("mode", CleanText),
    column("authority", CleanText),
    column("shadow", CleanText, null=True),
    column("reason", CleanText),
    column("bucket", BoundedInteger, null=True),
    column("flag_version", BoundedInteger),
    column("rule", CleanText, null=True),
    sa.Column("shadow_delay_s", BoundedInteger, nullable=False, server_default="0"),
    column("safety", CleanText, null=True),
    column("due_at", UtcTime),
    # 1 while a shadowed submission has no comparison: what is overdue is found without reading what is not.
    column("pending", sa.SmallInteger),
    # How often the submission was redirected, and the last time: mode to flag_version above are then of the decision since.
    sa.Column("redirects", BoundedInteger, nullable=False, server_default="0"),
    column("redirected", CleanText, null=True),
)
# A literal, not a parameter: neither engine uses a partial index for a condition it does not know when it plans.
is_pending = submissions.c.pending == sa.literal_column("1")
sa.Index("ix_submissions_task_submitted_at", submissions.c.task, submissions.c.submitted_at)
sa.Index("ix_submissions_submitted_at", submissions.c.submitted_at)
sa.Index("ix_submissions_pending", submissions.c.due_at, submissions.c.task, sqlite_where=is_pending, postgresql_where=is_pending)

outcomes = sa.Table(
    "outcomes",
    metadata,
    column("submission_id", KeyText, key=True),
    column("role", KeyText, key=True),
    column("side", CleanText),
    column("state", CleanText),
    column("body", CleanText),
    column("arrived_at", UtcTime),
    # When and where what had ended ran once more, a line a run: so that each is counted once.
    sa.Column("reruns", CleanText, nullable=False, server_default=""),
)

comparisons = sa.Table(
    "comparisons",
    metadata,
    column("submission_id", KeyText, key=True),
    column("task", KeyText),
    column("verdict", KeyText),
    column("missing", CleanText, null=True),
    column("differences", CleanText),
    column("authority_ms", sa.Double, null=True),
    column("shadow_ms", sa.Double, null=True),
    column("skew_ms", sa.Double, null=True),
    column("flag_version", BoundedInteger),
    column("ruleset_version", CleanText),
    column("compared_at", UtcTime),
    # 1 where both sides were legacy.
    sa.Column("control", sa.SmallInteger, nullable=False, server_default="0"),
    # The targeting rule that decided, "" for none.
    sa.Column("cohort", CleanText, nullable=False, server_default=""),
    # What finds the pairs of one cohort key; null where it is not known.
    column("cohort_hash", sa.BigInteger, null=True),
)
sa.Index("ix_comparisons_task_verdict", comparisons.c.task, comparisons.c.verdict, comparisons.c.compared_at)
sa.Index("ix_comparisons_verdict", comparisons.c.verdict, comparisons.c.compared_at)
sa.Index("ix_comparisons_cohort_hash", comparisons.c.cohort_hash, comparisons.c.compared_at)
