"""Counters: they grow with distinct things and hours only."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from gateway.ledger.schema.column import BoundedInteger, CleanText, KeyText, UtcTime, column, metadata

__all__ = [
    "ALL_TIME",
    "activity",
    "answer_counts",
    "control_counts",
    "latencies",
    "node_times",
    "outcome_counts",
    "ratio_counts",
    "skew_counts",
    "task_cohorts",
    "verdict_counts",
]

ALL_TIME = datetime.fromtimestamp(0, UTC)
"""The hour under which verdicts and latencies are also kept as totals: a report of all time must not add up every hour there was."""

verdict_counts = sa.Table(
    "verdict_counts",
    metadata,
    column("task", KeyText, key=True),
    column("hour", UtcTime, key=True),
    column("flag_version", BoundedInteger, key=True),
    # The targeting rule that decided, "" for none.
    column("cohort", KeyText, key=True),
    column("verdict", KeyText, key=True),
    column("n", sa.BigInteger),
)
sa.Index("ix_verdict_counts_hour", verdict_counts.c.hour)

# A whole histogram a row, as JSON: an hour of traffic is a row and not one for each time that occurred in it.
latencies = sa.Table(
    "latencies",
    metadata,
    column("task", KeyText, key=True),
    column("role", KeyText, key=True),
    column("hour", UtcTime, key=True),
    column("histogram", CleanText),
)
sa.Index("ix_latencies_hour", latencies.c.hour)

skew_counts = sa.Table(
    "skew_counts",
    metadata,
    column("task", KeyText, key=True),
    column("bucket", sa.SmallInteger, key=True),
    # 1 for pairs that differ.
    column("different", sa.SmallInteger, key=True),
    column("n", sa.BigInteger),
)

outcome_counts = sa.Table(
    "outcome_counts",
    metadata,
    column("task", KeyText, key=True),
    column("flag_version", BoundedInteger, key=True),
    column("side", KeyText, key=True),
    column("role", KeyText, key=True),
    column("state", KeyText, key=True),
    column("n", sa.BigInteger),
)

ratio_counts = sa.Table(
    "ratio_counts",
    metadata,
    column("task", KeyText, key=True),
    column("flag_version", BoundedInteger, key=True),
    column("bin", sa.Integer, key=True),
    column("n", sa.BigInteger),
)

task_cohorts = sa.Table(
    "task_cohorts",
    metadata,
    column("task", KeyText, key=True),
    # A sketch of the cohort keys compared.
    column("cohorts", CleanText),
)

node_times = sa.Table(
    "node_times",
    metadata,
    column("task", KeyText, key=True),
    column("path", KeyText, key=True),
    # The role whose times they are, or "ratio": the shadow's over the authority's, pair by pair.
    column("measure", KeyText, key=True),
    column("histogram", CleanText),
)

control_counts = sa.Table(
    "control_counts",
    metadata,
    column("task", KeyText, key=True),
    # Of the difference group; "" counts the pairs of control runs.
    column("fingerprint", KeyText, key=True),
    column("n", sa.BigInteger),
)

answer_counts = sa.Table(
    "answer_counts",
    metadata,
    column("task", KeyText, key=True),
    # "dropped" answers of the authority, "unknown" calls of the shadow, or outcomes that "ran_again".
    column("what", KeyText, key=True),
    column("n", sa.BigInteger),
)

activity = sa.Table(
    "activity",
    metadata,
    column("task", KeyText, key=True),
    # The length of the step in seconds, and its beginning.
    column("step_s", sa.Integer, key=True),
    column("at", UtcTime, key=True),
    column("series", KeyText, key=True),
    column("n", sa.BigInteger),
    # Execution times added up.
    column("total_ms", sa.Double),
)

sa.Index("ix_activity_at", activity.c.step_s, activity.c.at)
