"""The ledger's tables. JSON is kept as text: PostgreSQL's jsonb refuses NUL escapes and both engines would round large numbers.

Raw records (submissions, outcomes, comparisons) grow with traffic and age out; counters, groups and samples grow with distinct
differences and hours only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from gateway.core.moment import as_utc

__all__ = [
    "ALL_TIME",
    "comparisons",
    "difference_groups",
    "flag_versions",
    "group_counts",
    "group_samples",
    "is_pending",
    "latency_histogram",
    "metadata",
    "outcomes",
    "submissions",
    "verdict_counts",
]

ALL_TIME = datetime.fromtimestamp(0, UTC)
"""The hour under which verdicts and latencies are also kept as totals: a report of all time must not add up every hour there was."""

_T = TypeVar("_T")
_KEY_LENGTH = 500
_LARGEST = 2**63 - 1
"""The largest number an integer column holds."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment, stored as UTC and read back with its zone. A time without one is taken as UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        utc = as_utc(value)
        return utc if dialect.name == "postgresql" else utc.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else as_utc(value)


class CleanText(sa.types.TypeDecorator[str]):
    """Text without NUL characters, which PostgreSQL cannot store: each becomes U+FFFD. No record may stop the ones behind it."""

    impl = sa.Text()
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\x00", "\ufffd") if value is not None and "\x00" in value else value


class KeyText(CleanText):
    """Text in an index: cut at 500 characters, because PostgreSQL refuses index entries beyond 2,704 bytes."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return super().process_bind_param(value if value is None else value[:_KEY_LENGTH], dialect)


class BoundedInteger(sa.types.TypeDecorator[int]):
    """A number of 64 bits; what lies beyond is stored as the nearest one."""

    impl = sa.BigInteger()
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return None if value is None else max(-_LARGEST, min(_LARGEST, value))


metadata = sa.MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"},
)


def _column(name: str, kind: type[sa.types.TypeEngine[_T]], *, key: bool = False, null: bool = False) -> sa.Column[_T]:
    return sa.Column(name, kind, primary_key=key, nullable=null)


submissions = sa.Table(
    "submissions",
    metadata,
    _column("id", KeyText, key=True),
    _column("task", KeyText),
    _column("args", CleanText),
    _column("kwargs", CleanText),
    _column("options", CleanText),
    _column("cohort_key", CleanText),
    _column("submitted_at", UtcTime),
    _column("traceparent", CleanText, null=True),
    _column("mode", CleanText),
    _column("authority", CleanText),
    _column("shadow", CleanText, null=True),
    _column("reason", CleanText),
    _column("bucket", BoundedInteger, null=True),
    _column("flag_version", BoundedInteger),
    _column("due_at", UtcTime),
    # 1 while a shadowed submission has no comparison: what is overdue is found without reading what is not.
    _column("pending", sa.SmallInteger),
)
# A literal, not a parameter: neither engine uses a partial index for a condition it does not know when it plans.
is_pending = submissions.c.pending == sa.literal_column("1")
sa.Index("ix_submissions_task_submitted_at", submissions.c.task, submissions.c.submitted_at)
sa.Index("ix_submissions_pending", submissions.c.due_at, submissions.c.task, sqlite_where=is_pending, postgresql_where=is_pending)

outcomes = sa.Table(
    "outcomes",
    metadata,
    _column("submission_id", KeyText, key=True),
    _column("role", KeyText, key=True),
    _column("side", CleanText),
    _column("state", CleanText),
    _column("body", CleanText),
    _column("arrived_at", UtcTime),
)

comparisons = sa.Table(
    "comparisons",
    metadata,
    _column("submission_id", KeyText, key=True),
    _column("task", KeyText),
    _column("verdict", KeyText),
    _column("missing", CleanText, null=True),
    _column("differences", CleanText),
    _column("authority_ms", sa.Double, null=True),
    _column("shadow_ms", sa.Double, null=True),
    _column("skew_ms", sa.Double, null=True),
    _column("flag_version", BoundedInteger),
    _column("ruleset_version", CleanText),
    _column("compared_at", UtcTime),
)
sa.Index("ix_comparisons_task_verdict", comparisons.c.task, comparisons.c.verdict, comparisons.c.compared_at)

verdict_counts = sa.Table(
    "verdict_counts",
    metadata,
    _column("task", KeyText, key=True),
    _column("hour", UtcTime, key=True),
    _column("flag_version", BoundedInteger, key=True),
    _column("verdict", KeyText, key=True),
    _column("n", sa.BigInteger),
)

sa.Index("ix_verdict_counts_hour", verdict_counts.c.hour)

latency_histogram = sa.Table(
    "latency_histogram",
    metadata,
    _column("task", KeyText, key=True),
    _column("role", KeyText, key=True),
    _column("hour", UtcTime, key=True),
    _column("bucket", sa.Integer, key=True),
    _column("n", sa.BigInteger),
)

sa.Index("ix_latency_histogram_hour", latency_histogram.c.hour)

difference_groups = sa.Table(
    "difference_groups",
    metadata,
    _column("fingerprint", KeyText, key=True),
    # The rule that hides it, "" for none: a group seen both ways counts twice, so that a rule never hides what it does not cover.
    _column("ignored_by", KeyText, key=True),
    _column("task", KeyText),
    _column("aspect", CleanText),
    _column("kind", CleanText),
    _column("path", CleanText),
    _column("count", sa.BigInteger),
    _column("first_seen", UtcTime),
    _column("last_seen", UtcTime),
    sa.Column("triage", CleanText, nullable=False, server_default="open"),
)
sa.Index("ix_difference_groups_task", difference_groups.c.task)

group_counts = sa.Table(
    "group_counts",
    metadata,
    _column("fingerprint", KeyText, key=True),
    _column("ignored_by", KeyText, key=True),
    _column("hour", UtcTime, key=True),
    _column("n", sa.BigInteger),
)

sa.Index("ix_group_counts_hour", group_counts.c.hour)

group_samples = sa.Table(
    "group_samples",
    metadata,
    _column("fingerprint", KeyText, key=True),
    _column("ignored_by", KeyText, key=True),
    _column("slot", sa.SmallInteger, key=True),
    _column("submission_id", KeyText),
    _column("authority", CleanText),
    _column("shadow", CleanText),
)

flag_versions = sa.Table(
    "flag_versions",
    metadata,
    _column("version", sa.BigInteger, key=True),
    _column("changed_at", UtcTime),
    _column("author", CleanText),
    _column("reason", CleanText),
    _column("source", CleanText),
    _column("flags", CleanText),
)
