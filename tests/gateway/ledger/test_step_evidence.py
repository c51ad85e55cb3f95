"""What the gate reads of every ledger, and what it leaves there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import msgspec

from dualrun.contracts import Failure, Mode, Reason, Role, Side, State, SubmissionRecord
from gateway.core.comparison import Verdict
from gateway.core.gate import GateAction, GateVerdict
from gateway.core.ports import NumberedVerdict
from gateway.core.step_evidence import StepEvidence
from tests.gateway.ledger.conftest import Ledger
from tests.support.records import NOON, a_comparison, a_record, an_outcome

TASK = "shop.charge"


async def _evidence(ledger: Ledger, since: int = 7, until: int = 7) -> StepEvidence:
    return await ledger.gate.step_evidence(TASK, since_version=since, until_version=until, since=NOON - timedelta(hours=1))


async def test_nothing_on_record_is_no_evidence(ledger: Ledger) -> None:
    assert await _evidence(ledger) == StepEvidence()


async def test_only_what_ran_under_the_versions_of_the_step_counts(ledger: Ledger) -> None:
    comparisons = [replace(a_comparison(f"s{version}"), flag_version=version) for version in (5, 6, 7, 8)]
    await ledger.writer.store(comparisons)
    outcomes = [msgspec.structs.replace(an_outcome(f"s{version}"), flag_version=version) for version in (5, 6, 7, 8)]
    await ledger.writer.append(outcomes, arrived_at=NOON)
    evidence = await _evidence(ledger, 6, 7)
    assert (evidence.paired, sum(evidence.ratios.values())) == (2, 2)
    assert evidence.outcomes == {(Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 2}


async def test_what_ran_before_a_step_is_told_apart_from_it(ledger: Ledger) -> None:
    outcomes = [msgspec.structs.replace(an_outcome(f"s{version}"), flag_version=version) for version in (0, 5, 6, 7, 8)]
    await ledger.writer.append(outcomes, arrived_at=NOON)
    assert await ledger.gate.outcomes_before(TASK, version=7) == {(Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 3}
    assert await ledger.gate.outcomes_before("another.task", version=7) == {}


async def test_an_outcome_that_comes_again_is_counted_once(ledger: Ledger) -> None:
    failed = an_outcome(role=Role.SHADOW, failure=Failure(kind="Oops"))
    await ledger.writer.append([an_outcome(), failed, an_outcome()], arrived_at=NOON)
    await ledger.writer.append([an_outcome(), an_outcome("nul\x00" + 600 * "x")], arrived_at=NOON)
    assert (await _evidence(ledger)).outcomes == {
        (Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 2,
        (Side.EVENTS, Role.SHADOW, State.FAILED): 1,
    }


async def test_a_pair_that_was_missing_and_came_late_has_no_ratio_and_counts_once(ledger: Ledger) -> None:
    await ledger.writer.store([replace(a_comparison(), verdict=Verdict.MISSING, authority_ms=None)])
    await ledger.writer.store([replace(a_comparison(), verdict=Verdict.LATE)])
    evidence = await _evidence(ledger)
    assert (evidence.verdicts, evidence.unpaired, evidence.compared, evidence.ratios) == ({Verdict.LATE: 1}, 1, 0, {})


def _dealt(number: int, key: str, side: Side, reason: Reason) -> SubmissionRecord:
    record = a_record(f"s{number}", shadow=None)
    decision = msgspec.structs.replace(record.decision, mode=Mode.CANARY, authority=side, reason=reason)
    return SubmissionRecord(submission=msgspec.structs.replace(record.submission, cohort_key=key), decision=decision)


async def test_the_split_counts_keys_a_percentage_dealt_each_of_them_once(ledger: Ledger) -> None:
    await ledger.writer.append(
        [
            _dealt(1, "ann", Side.EVENTS, Reason.IN_ROLLOUT),
            _dealt(2, "ann", Side.EVENTS, Reason.IN_ROLLOUT),
            _dealt(3, "ben", Side.LEGACY, Reason.OUT_OF_ROLLOUT),
            _dealt(4, "eve", Side.LEGACY, Reason.OUT_OF_ROLLOUT),
            _dealt(5, "zoe", Side.LEGACY, Reason.BY_MODE),
        ],
        arrived_at=NOON,
    )
    assert (await _evidence(ledger)).keys == {Side.EVENTS: 1, Side.LEGACY: 2}


def _verdict(reason: str) -> GateVerdict:
    return GateVerdict(id=reason, task=TASK, action=GateAction.HOLD, reason=reason, step="canary 1 %", flag_version=7, decided_at=NOON)


async def test_of_several_comparators_one_takes_the_next_number(ledger: Ledger) -> None:
    assert await ledger.gate.latest_verdict(TASK) is None
    told = await asyncio.gather(*(ledger.gate.append_verdict(NumberedVerdict(1, _verdict(f"by {n}"))) for n in range(4)))
    assert sorted(told) == [False, False, False, True]
    assert await ledger.gate.append_verdict(NumberedVerdict(2, _verdict("next")))
    assert await ledger.gate.latest_verdict(TASK) == NumberedVerdict(2, _verdict("next"))
