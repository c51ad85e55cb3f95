"""Judge the pairs on record again, by the rules now in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from gateway.core.comparison import Comparison, Verdict
from gateway.core.pairing import CompareOutcomes
from gateway.core.ports import JudgementLedger, Stored

__all__ = ["judge_again"]

log = logging.getLogger(__name__)

PAIRS_AT_ONCE = 100
_PAIRS_WITHOUT_PAUSE = 20


async def judge_again(
    version: str, *, ledger: JudgementLedger, compare: CompareOutcomes, goes_on: Callable[[], bool], once_more: bool = False
) -> int:
    """How many pairs were judged again: all whose raw outcomes are still there, the latest first. Raises `StoreUnavailable`.

    It ends early where `goes_on` says no, or where other rules have come into force: those are another comparator's to judge by.
    Stopping and starting again loses nothing, for a pair already judged by these rules is passed over. `once_more`: look even where
    another comparator has done so; whoever heard of the rules after that has judged by those before them meanwhile.
    """
    judged, before = 0, None
    while goes_on():
        in_force = await ledger.rules_in_force()
        if in_force is None or in_force.version != version or (in_force.applied and not once_more):
            break
        stored, before = await ledger.stored(other_than=version, before=before, limit=PAIRS_AT_ONCE)
        judged += await ledger.replace(await _judged(stored, compare)) if stored else 0
        if before is None:
            await ledger.rules_applied(version)
            break
    return judged


async def _judged(stored: Sequence[Stored], compare: CompareOutcomes) -> Sequence[Comparison]:
    comparisons: list[Comparison] = []
    for position, one in enumerate(stored, 1):
        try:
            said = compare(one.submission, one.authority, one.shadow)
        except Exception as exc:  # noqa: BLE001  # consumer loop: one pair must not keep all others from being judged; it stays as it was
            log.error("comparison_failed", extra={"submission_id": one.submission.id, "error": type(exc).__name__})
            continue
        late = one.comparison.verdict is Verdict.LATE
        comparisons.append(
            replace(
                one.comparison,
                verdict=Verdict.LATE if late else said.verdict,
                differences=said.differences,
                ruleset_version=said.ruleset_version,
                cohort_key=one.submission.cohort_key,
            )
        )
        if position % _PAIRS_WITHOUT_PAUSE == 0:
            await asyncio.sleep(0)
    return comparisons
