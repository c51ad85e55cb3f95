"""What the gate has said, which rules are in force, and who changed what."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.ledger.schema.column import CleanText, KeyText, UtcTime, column, metadata

__all__ = ["audit", "gate_verdicts", "rule_sets"]

gate_verdicts = sa.Table(
    "gate_verdicts",
    metadata,
    column("task", KeyText, key=True),
    # Counts a task's verdicts: of several comparators that reach the next one, the first to take its number tells it.
    column("ordinal", sa.BigInteger, key=True),
    column("decided_at", UtcTime),
    column("body", CleanText),
)

rule_sets = sa.Table(
    "rule_sets",
    metadata,
    column("version", KeyText, key=True),
    # The latest one is in force: a comparator that still has another does not judge stored pairs again.
    column("adopted_at", UtcTime),
    # 1 once all that is on record has been judged by them.
    column("applied", sa.SmallInteger),
)

# Appended to, and nothing else: the port has no other verb.
audit = sa.Table(
    "audit",
    metadata,
    column("id", KeyText, key=True),
    column("at", UtcTime),
    column("actor", KeyText),
    column("via", KeyText),
    column("credential", KeyText),
    column("address", KeyText),
    column("action", KeyText),
    column("target", KeyText),
    column("reason", CleanText),
    column("detail", CleanText),
    column("status", sa.SmallInteger),
    sa.Index("ix_audit_actor_id", "actor", "id"),
    sa.Index("ix_audit_target_id", "target", "id"),
)
