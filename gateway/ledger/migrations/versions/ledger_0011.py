"""Counters by targeting rule, comparisons by cohort key, pairs by skew; a histogram a row instead of a bucket a row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_ROWS_AT_ONCE = 500


def upgrade() -> None:
    """Add columns and tables. What was counted before has no rule; pairs stored before are not found by cohort key."""
    op.add_column("comparisons", sa.Column("cohort", sa.Text(), server_default="", nullable=False))
    op.add_column("comparisons", sa.Column("cohort_hash", sa.BigInteger(), nullable=True))
    op.create_index("ix_comparisons_cohort_hash", "comparisons", ["cohort_hash", "compared_at"])
    _count_verdicts_by_cohort()
    _count_groups_by_cohort()
    op.create_table(
        "skew_counts",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("different", sa.SmallInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "bucket", "different", name=op.f("pk_skew_counts")),
    )
    hour = sa.Column("hour", sa.DateTime(timezone=True), nullable=False)
    _pack("latency_histogram", "latencies", sa.Column("role", sa.Text(), nullable=False), hour)
    op.create_index("ix_latencies_hour", "latencies", ["hour"])
    path = sa.Column("path", sa.Text(), nullable=False)
    _pack("node_counts", "node_times", path, sa.Column("measure", sa.Text(), nullable=False))


def _count_verdicts_by_cohort() -> None:
    # A primary key gets another column by way of another table: SQLite knows no other.
    op.create_table(
        "verdict_counts_by_cohort",
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("cohort", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task", "hour", "flag_version", "cohort", "verdict", name=op.f("pk_verdict_counts_by_cohort")),
    )
    op.execute("insert into verdict_counts_by_cohort select task, hour, flag_version, '', verdict, n from verdict_counts")
    op.drop_table("verdict_counts")
    op.rename_table("verdict_counts_by_cohort", "verdict_counts")
    op.create_index("ix_verdict_counts_hour", "verdict_counts", ["hour"])


def _count_groups_by_cohort() -> None:
    op.create_table(
        "group_counts_by_cohort",
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("ignored_by", sa.Text(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("flag_version", sa.BigInteger(), nullable=False),
        sa.Column("cohort", sa.Text(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", "ignored_by", "hour", "flag_version", "cohort", name=op.f("pk_group_counts_by_cohort")),
    )
    op.execute("insert into group_counts_by_cohort select fingerprint, ignored_by, hour, flag_version, '', n from group_counts")
    op.drop_table("group_counts")
    op.rename_table("group_counts_by_cohort", "group_counts")
    op.create_index("ix_group_counts_hour", "group_counts", ["hour", "fingerprint", "ignored_by", "n"])


def _pack(old: str, new: str, *keys: sa.Column[Any]) -> None:
    """A row for each bucket becomes a row for each histogram."""
    names = ["task", *(column.name for column in keys)]
    table = op.create_table(
        new,
        sa.Column("task", sa.Text(), nullable=False),
        *keys,
        sa.Column("histogram", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(*names, name=op.f(f"pk_{new}")),
    )
    buckets = sa.table(old, *(sa.column(name, type_) for name, type_ in zip(names, (c.type for c in table.c), strict=False)))
    buckets.append_column(sa.column("bucket", sa.Integer()))
    buckets.append_column(sa.column("n", sa.BigInteger()))
    of_key = itemgetter(*range(len(names)))

    def packed() -> Iterator[dict[str, object]]:
        rows = op.get_bind().execute(sa.select(buckets).order_by(*(buckets.c[name] for name in names)))
        for key, of_one in groupby(rows.all(), key=of_key):
            histogram = {str(row[-2]): int(row[-1]) for row in of_one}
            yield {**dict(zip(names, key, strict=True)), "histogram": json.dumps(histogram, separators=(",", ":"))}

    found = list(packed())
    for start in range(0, len(found), _ROWS_AT_ONCE):
        op.bulk_insert(table, found[start : start + _ROWS_AT_ONCE])
    op.drop_table(old)
