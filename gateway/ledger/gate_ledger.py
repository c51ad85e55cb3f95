"""What the gate reads of the ledger, and what it leaves there, on SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dualrun.contracts import Reason, Role, Side, State
from gateway.core.comparison import Verdict
from gateway.core.ports import NumberedVerdict
from gateway.core.step_evidence import KEYS_LOOKED_AT, StepEvidence
from gateway.ledger import schema
from gateway.ledger.database import reading, writing
from gateway.ledger.rows import gate_verdict_from
from gateway.ledger.statement import insert_new

__all__ = ["SqlGateLedger"]

_DEALT = (Reason.IN_ROLLOUT.value, Reason.OUT_OF_ROLLOUT.value)


class SqlGateLedger:
    """Implements `GateLedger`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def step_evidence(self, task: str, *, since_version: int, until_version: int, since: datetime) -> StepEvidence:
        versions = (since_version, until_version)
        totals = schema.verdict_counts.c.hour == schema.ALL_TIME
        async with reading(self._engine) as connection:
            verdicts = await _sums(connection, schema.verdict_counts, ["verdict"], task, versions, totals)
            outcomes = await _sums(connection, schema.outcome_counts, ["side", "role", "state"], task, versions)
            ratios = await _sums(connection, schema.ratio_counts, ["bin"], task, versions)
            keys = (await connection.execute(_dealt_keys(task, versions, since))).all()
            return StepEvidence(
                verdicts={Verdict(verdict): n for verdict, n in verdicts if n},
                outcomes={(Side(side), Role(role), State(state)): n for side, role, state, n in outcomes},
                ratios=dict(ratios),
                keys={Side(side): int(n) for side, n in keys},
            )

    async def outcomes_before(self, task: str, *, version: int) -> Mapping[tuple[Side, Role, State], int]:
        async with reading(self._engine) as connection:
            outcomes = await _sums(connection, schema.outcome_counts, ["side", "role", "state"], task, (0, version - 1))
        return {(Side(side), Role(role), State(state)): n for side, role, state, n in outcomes}

    async def latest_verdict(self, task: str) -> NumberedVerdict | None:
        table = schema.gate_verdicts
        query = sa.select(table.c.ordinal, table.c.body).where(table.c.task == task).order_by(table.c.ordinal.desc()).limit(1)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else NumberedVerdict(row.ordinal, gate_verdict_from(row.body))

    async def latest_flag_version(self) -> int:
        """The highest under which anything was counted; 0 where nothing was. Raises `StoreUnavailable`."""
        async with reading(self._engine) as connection:
            found = [
                await connection.scalar(sa.select(sa.func.max(table.c.flag_version)))
                for table in (schema.verdict_counts, schema.outcome_counts, schema.submissions)
            ]
        return max((int(version) for version in found if version is not None), default=0)

    async def append_verdict(self, numbered: NumberedVerdict) -> bool:
        verdict = numbered.verdict
        row = {
            "task": verdict.task,
            "ordinal": numbered.ordinal,
            "decided_at": verdict.decided_at,
            "body": msgspec.json.encode(verdict).decode(),
        }
        statement = insert_new(self._engine.dialect.name, schema.gate_verdicts).returning(schema.gate_verdicts.c.ordinal)
        async with writing(self._engine) as connection:
            return (await connection.scalar(statement, row)) is not None


async def _sums(
    connection: AsyncConnection, table: sa.Table, keys: Sequence[str], task: str, versions: tuple[int, int], *more: sa.ColumnElement[bool]
) -> Sequence[tuple[Any, ...]]:
    columns = [table.c[key] for key in keys]
    query = (
        sa.select(*columns, sa.cast(sa.func.sum(table.c.n), sa.BigInteger))
        .where(table.c.task == task, table.c.flag_version.between(*versions), *more)
        .group_by(*columns)
    )
    return [tuple(row) for row in await connection.execute(query)]


def _dealt_keys(task: str, versions: tuple[int, int], since: datetime) -> sa.Select[str, int]:
    table = schema.submissions.c
    latest = (
        sa.select(table.authority, table.cohort_key)
        .where(table.task == task, table.submitted_at >= since, table.flag_version.between(*versions))
        .where(table.reason.in_(_DEALT), table.rule.is_(None))
        .order_by(table.submitted_at.desc())
        .limit(KEYS_LOOKED_AT)
        .subquery()
    )
    return sa.select(latest.c.authority, sa.func.count(sa.distinct(latest.c.cohort_key))).group_by(latest.c.authority)
