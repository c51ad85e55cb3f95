"""Submissions by task, id, verdict and time: each question follows one index in order of time, and stops at a page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from dualrun.contracts import Mode, Side
from gateway.core.comparison import Verdict
from gateway.core.search import FoundSubmission, SubmissionPage, SubmissionSearch
from gateway.ledger import schema

__all__ = ["find"]

_S, _C = schema.submissions.c, schema.comparisons.c
_COLUMNS = (_S.id, _S.task, _S.submitted_at, _S.mode, _S.authority, _S.shadow, _S.flag_version, _S.pending, _C.verdict)
_LAST = "zzzz"
"""Comes after every letter and digit, however the database sorts."""


async def find(connection: AsyncConnection, search: SubmissionSearch) -> SubmissionPage:
    """One page, the latest first."""
    by_verdict = search.verdicts is not None and not search.waiting
    queries = [_compared(search, verdict) for verdict in search.verdicts or ()] if by_verdict else [_submitted(search)]
    found: list[tuple[datetime, FoundSubmission]] = []
    for query in queries:
        found += [(row.moment, _found(row)) for row in await connection.execute(query.limit(search.limit + 1))]
    found.sort(key=lambda one: (one[0], one[1].id), reverse=True)
    page = found[: search.limit]
    goes_on = len(found) > search.limit
    return SubmissionPage(tuple(one for _, one in page), (page[-1][0], page[-1][1].id) if goes_on else None)


def _submitted(search: SubmissionSearch) -> sa.Select[Any]:
    query = sa.select(*_COLUMNS, _S.submitted_at.label("moment")).join(schema.comparisons, _C.submission_id == _S.id, isouter=True)
    if search.task is not None:
        query = query.where(_S.task == search.task)
    if search.waiting:
        query = query.where(schema.is_pending)
    return _bounded(query, search, _S.submitted_at, _S.id)


def _compared(search: SubmissionSearch, verdict: Verdict) -> sa.Select[Any]:
    query = sa.select(*_COLUMNS, _C.compared_at.label("moment")).join(schema.comparisons, _C.submission_id == _S.id)
    query = query.where(_C.verdict == str(verdict))
    if search.task is not None:
        query = query.where(_C.task == search.task)
    return _bounded(query, search, _C.compared_at, _C.submission_id)


def _bounded(query: sa.Select[Any], search: SubmissionSearch, moment: sa.Column[datetime], id_: sa.Column[str]) -> sa.Select[Any]:
    if search.id_starts:
        # The range is what an index can do; that the id starts so is what is asked, whatever order the database sorts text in.
        query = query.where(id_ >= search.id_starts, id_ <= search.id_starts + _LAST, _starts(id_, search.id_starts))
    if search.since is not None:
        query = query.where(moment >= search.since)
    if search.until is not None:
        query = query.where(moment < search.until)
    if search.before is not None:
        at, last = search.before
        query = query.where(moment <= at, sa.or_(moment < at, id_ < last))
    return query.order_by(moment.desc(), id_.desc())


def _starts(id_: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(id_, 1, len(text)) == text


def _found(row: sa.Row[Any]) -> FoundSubmission:
    return FoundSubmission(
        id=row.id,
        task=row.task,
        submitted_at=row.submitted_at,
        mode=Mode(row.mode),
        authority=Side(row.authority),
        shadow=None if row.shadow is None else Side(row.shadow),
        flag_version=row.flag_version,
        verdict=None if row.verdict is None else Verdict(row.verdict),
        pending=bool(row.pending),
    )
