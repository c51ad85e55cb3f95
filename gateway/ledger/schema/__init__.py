"""The ledger's tables."""

from gateway.ledger.schema.column import KeyText, key_text, metadata
from gateway.ledger.schema.count import (
    ALL_TIME,
    activity,
    answer_counts,
    control_counts,
    latencies,
    node_times,
    outcome_counts,
    ratio_counts,
    skew_counts,
    task_cohorts,
    verdict_counts,
)
from gateway.ledger.schema.governance import audit, gate_verdicts, rule_sets
from gateway.ledger.schema.group import difference_groups, group_counts, group_samples
from gateway.ledger.schema.record import comparisons, is_pending, outcomes, submissions

__all__ = [
    "ALL_TIME",
    "KeyText",
    "activity",
    "answer_counts",
    "audit",
    "comparisons",
    "control_counts",
    "difference_groups",
    "gate_verdicts",
    "group_counts",
    "group_samples",
    "is_pending",
    "key_text",
    "latencies",
    "metadata",
    "node_times",
    "outcome_counts",
    "outcomes",
    "ratio_counts",
    "rule_sets",
    "skew_counts",
    "submissions",
    "task_cohorts",
    "verdict_counts",
]
