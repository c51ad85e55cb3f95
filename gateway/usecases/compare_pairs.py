"""Compare the pairs that can be compared, and store what came of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime

from dualrun.contracts import Outcome, Submission
from dualrun.telemetry import comparison_span
from gateway.core.comparison import Aspect, Comparison, Difference, DifferenceKind, Verdict
from gateway.core.pairing import CompareOutcomes, Judgement, judge_pair
from gateway.core.ports import LedgerWriter, Pair

__all__ = ["compare_pairs", "judge_all"]

log = logging.getLogger(__name__)

_PAIRS_WITHOUT_PAUSE = 50


async def compare_pairs(
    submission_ids: Sequence[str],
    *,
    ledger: LedgerWriter,
    compare: CompareOutcomes,
    now: datetime,
    deadline_s: float,
    known_until: datetime | None = None,
) -> Sequence[Comparison]:
    """The comparisons that could be made of the submissions' pairs; they are stored. Raises `StoreUnavailable`."""
    pairs = await ledger.pairs(submission_ids)
    comparisons = await judge_all(pairs, compare=compare, now=now, deadline_s=deadline_s, known_until=known_until)
    await ledger.store(comparisons)
    return comparisons


async def judge_all(
    pairs: Sequence[Pair], *, compare: CompareOutcomes, now: datetime, deadline_s: float, known_until: datetime | None = None
) -> Sequence[Comparison]:
    """The comparisons of those pairs that need not wait. A comparison that fails is a comparison that was cut short.

    `known_until` as in `judge_pair`.
    """

    def guarded(submission: Submission, authority: Outcome, shadow: Outcome) -> Judgement:
        try:
            with comparison_span(submission.id, submission.task, submission.traceparent) as heard:
                judgement = compare(submission, authority, shadow)
                heard(judgement.verdict.value)
                return judgement
        except Exception as exc:  # noqa: BLE001  # consumer loop: one pair must not keep all others waiting, nor count as equal
            # Neither the error's text nor its traceback: both may quote the payload.
            log.error("comparison_failed", extra={"submission_id": submission.id, "error": type(exc).__name__})
            return _cut_short(exc)

    comparisons: list[Comparison] = []
    for position, pair in enumerate(pairs, 1):
        comparison = judge_pair(pair, now=now, deadline_s=deadline_s, compare=guarded, known_until=known_until)
        if comparison is not None:
            comparisons.append(comparison)
        if position % _PAIRS_WITHOUT_PAUSE == 0:
            # Comparing is computing; in the embedded mode everything else shares this loop.
            await asyncio.sleep(0)
    return comparisons


def _cut_short(error: Exception) -> Judgement:
    note = f"the comparison failed: {type(error).__name__}"
    difference = Difference(aspect=Aspect.VALUE, kind=DifferenceKind.TRUNCATED, path="/", authority=note, shadow=note)
    return Judgement(Verdict.DIFFERENT_VALUE, (difference,))
