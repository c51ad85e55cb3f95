"""Outcomes of a second run of what had ended before. The first outcome counts; the others say that work was delivered twice."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Outcome
from gateway.ledger import schema
from gateway.ledger.rows import outcome_from
from gateway.ledger.tally import is_rerun, rerun_name

__all__ = ["new_reruns"]

_REMEMBERED = 50
"""Of one outcome: work that is delivered over and over must not fill its row."""


async def new_reruns(connection: AsyncConnection, again: Iterable[Outcome]) -> list[Outcome]:
    """Those of another run than the one on record and than any seen before; they are remembered. Rows go in the order of their keys."""
    table = schema.outcomes
    found: list[Outcome] = []
    for outcome in sorted(again, key=lambda one: (one.submission_id, one.role)):
        same = sa.and_(table.c.submission_id == outcome.submission_id, table.c.role == str(outcome.role))
        row = (await connection.execute(sa.select(table.c.body, table.c.reruns).where(same).with_for_update())).one()
        known, name = row.reruns.splitlines(), rerun_name(outcome)
        if is_rerun(outcome_from(row.body), outcome) and name not in known and len(known) < _REMEMBERED:
            await connection.execute(sa.update(table).where(same).values(reruns="\n".join([*known, name])))
            found.append(outcome)
    return found
