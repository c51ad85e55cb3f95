"""What the gate does with a task, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from dualrun.contracts import Mode, Side, State
from gateway.core.errors import FlagConflict, FlagsByFile, NotProven, StoreUnavailable
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.gate import CheckName, CheckResult, GateAction, GateVerdict
from gateway.core.gate_settings import Gate, OnFailure
from gateway.core.step_evidence import StepEvidence
from gateway.flags import MemoryFlagStore
from gateway.flags.elsewhere import FlagsChangedElsewhere
from gateway.ledger import MemoryLedger
from tests.support.gating import GATE, TASK, Way


def _flag(way: Way) -> Flag:
    return way.flags.snapshot.flags[TASK]


async def _sound(way: Way, n: int = 600) -> None:
    """Everything a canary of 10 % has to show."""
    await way.run(n)
    await way.deal({Side.EVENTS: 10, Side.LEGACY: 90})
    way.wait(61)


async def _told(way: Way, count: int, *looks: object) -> list[GateVerdict]:
    """The verdicts told while the looks go on."""
    told: list[GateVerdict] = []

    async def listen() -> None:
        async for verdict in way.notices.verdicts():
            told.append(verdict)  # noqa: PERF401  # the loop never ends

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for look in looks:
        await look.look()  # type: ignore[attr-defined]
        await asyncio.sleep(0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert len(told) == count
    return told


async def test_a_fault_takes_a_canary_back_and_the_version_says_on_what() -> None:
    way = Way()
    await way.stand("canary 10 %")
    await way.run(200, different=8)
    (verdict,) = await way.comparator().look()
    after = way.flags.snapshot
    assert (_flag(way).mode, _flag(way).gate) == (Mode.LEGACY, GATE)
    assert (after.source, after.author, after.version) == ("gate", "gate", verdict.changed_to)
    assert after.evidence is not None
    assert (after.evidence.report, after.evidence.n, after.evidence.mismatches) == (verdict.id, 200, 8)
    assert CheckName.MISMATCH in {check.name for check in after.evidence.checks if check.result is CheckResult.FAIL}


async def test_a_shadow_is_never_taken_back_because_nobody_is_answered_by_it() -> None:
    way = Way()
    await way.stand("shadow 100 %")
    await way.run(200, different=100)
    assert await way.comparator().look() == []
    assert _flag(way).mode is Mode.SHADOW


@pytest.mark.parametrize("step", ["shadow 100 %", "canary 10 %", "canary 50 %", "events"])
async def test_no_data_changes_nothing_however_long_it_lasts(step: str) -> None:
    way = Way(gate=replace(GATE, auto_promote=True, soak_s=0))
    before = await way.stand(step)
    gate = way.comparator()
    for _ in range(20):
        way.wait(86_400)
        assert await gate.look() == []
    assert way.flags.snapshot == before


async def _left_legacy(step: str, seen: bool) -> Way:
    """A step in which legacy runs no more; what it did before is known or not."""
    way = Way()
    await way.stand("shadow 100 %")
    if seen:
        await way.end(Side.LEGACY, {State.SUCCEEDED: 980, State.FAILED: 20})
    await way.stand(step, events_share=100_000 if step.startswith("canary") else 0)
    return way


LAST_STEPS = ["canary 100 %", "mirror 100 %", "events"]


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("step", LAST_STEPS)
async def test_where_legacy_runs_no_more_a_handler_that_fails_is_taken_back_all_the_same(step: str, seen: bool) -> None:
    way = await _left_legacy(step, seen)
    await way.end(Side.EVENTS, {State.DEAD_LETTERED: 5_000})
    (verdict,) = await way.comparator().look()
    assert (verdict.action, _flag(way).mode) == (GateAction.ROLL_BACK, Mode.LEGACY)
    assert "errors: events fails in 5,000 of 5,000 runs" in verdict.reason
    assert ("legacy in 20 of 1,000 in the steps before" in verdict.reason) is seen


@pytest.mark.parametrize("seen", [True, False])
@pytest.mark.parametrize("step", LAST_STEPS)
async def test_where_legacy_runs_no_more_a_handler_that_fails_as_often_as_legacy_did_stays(step: str, seen: bool) -> None:
    way = await _left_legacy(step, seen)
    before, gate = way.flags.snapshot, way.comparator()
    for _ in range(20):
        await way.end(Side.EVENTS, {State.SUCCEEDED: 49, State.FAILED: 1})
        assert await gate.look() == []
    assert way.flags.snapshot == before


async def test_what_legacy_did_before_speaks_for_the_last_step_and_not_for_one_it_still_runs_in() -> None:
    way = await _left_legacy("canary 10 %", seen=True)
    await way.end(Side.LEGACY, {State.SUCCEEDED: 5})
    await way.end(Side.EVENTS, {State.SUCCEEDED: 5})
    assert (await way.reading.read(TASK)).evidence.before == {}


async def test_by_itself_the_gate_only_ever_reduces_exposure() -> None:
    way = Way()
    await way.stand("canary 10 %")
    await _sound(way)
    gate = way.comparator()
    assert await gate.look() == []
    verdict = gate.verdicts[TASK]
    assert (verdict.action, verdict.why_not) == (GateAction.PROMOTE, "auto_promote: false")


async def test_where_the_flag_allows_it_the_gate_goes_on_one_step_at_a_time_on_fresh_evidence() -> None:
    way = Way(gate=replace(GATE, auto_promote=True))
    await way.stand("canary 10 %")
    await _sound(way)
    gate = way.comparator()
    assert len(await gate.look()) == 1
    way.wait(3_600)
    assert await gate.look() == []
    assert (_flag(way).mode, _flag(way).events_share) == (Mode.CANARY, 50_000)


async def test_the_gate_never_leaves_legacy_by_itself_or_it_would_undo_every_rollback() -> None:
    way = Way(gate=replace(GATE, auto_promote=True, soak_s=0))
    await way.stand("legacy")
    gate = way.comparator()
    assert await gate.look() == []
    assert gate.verdicts[TASK].why_not == "people begin"


@pytest.mark.parametrize(
    ("gate", "why_not"),
    [(replace(GATE, dry_run=True), "dry run"), (replace(GATE, on_failure=OnFailure.HOLD), "on_failure: hold")],
)
async def test_a_gate_that_only_says_what_it_would_do_does_nothing(gate: object, why_not: str) -> None:
    way = Way(gate=gate)  # type: ignore[arg-type]
    before = await way.stand("canary 10 %")
    await way.run(200, different=8)
    (verdict,) = await _told(way, 1, way.comparator(), way.comparator())
    assert (verdict.action, verdict.why_not, verdict.changed_to) == (GateAction.ROLL_BACK, why_not, None)
    assert way.flags.snapshot == before


async def test_flags_by_file_are_left_to_the_file() -> None:
    way = Way()
    before = await way.stand("canary 10 %")
    await way.run(200, different=8)
    gate = way.comparator(FlagsChangedElsewhere(way.flags, lambda: FlagsByFile("config/flags.yaml")))
    assert await gate.look() == []
    assert gate.verdicts[TASK].why_not == "flags are changed elsewhere"
    assert way.flags.snapshot == before


async def test_only_what_ran_in_this_step_counts_whatever_other_flags_did() -> None:
    way = Way()
    old = await way.stand("canary 50 %")
    await way.run(200, different=100)
    await way.stand("canary 10 %")
    await way.run(150)
    await way.put(Flag(task="other.task", mode=Mode.EVENTS))
    await way.run(150)
    await way.run(50, different=50, version=old.version)
    reading = await way.reading.read(TASK)
    assert (reading.evidence.compared, reading.evidence.different, reading.start.version) == (300, 0, old.version + 1)


async def test_each_task_of_a_glob_is_judged_and_taken_back_by_itself() -> None:
    way = Way()
    await way.put(replace((await way.stand("canary 10 %")).flags[TASK], task="shop.*"))
    await way.flags.replace({"shop.*": way.flags.snapshot.flags["shop.*"]}, expected_version=None, author="ann", reason="", source="api")
    await way.run(200, different=8)
    await way.comparator().look()
    assert {name: flag.mode for name, flag in way.flags.snapshot.flags.items()} == {"shop.*": Mode.CANARY, TASK: Mode.LEGACY}


async def test_several_comparators_make_one_change_and_tell_one_verdict() -> None:
    way = Way()
    before = await way.stand("canary 10 %")
    await way.run(200, different=8)
    gates = [way.comparator() for _ in range(4)]

    class _Together:
        async def look(self) -> None:
            await asyncio.gather(*(gate.look() for gate in gates))

    told = await _told(way, 2, _Together(), _Together())
    assert way.flags.snapshot.version == before.version + 1
    assert [(verdict.action, verdict.step) for verdict in told] == [
        (GateAction.ROLL_BACK, "canary 10 %"),
        (GateAction.PROMOTE, "legacy"),
    ]


async def test_a_verdict_is_told_when_it_changes_and_not_when_numbers_grow() -> None:
    way = Way()
    await way.stand("canary 10 %")
    gate = way.comparator()

    class _Growing:
        async def look(self) -> None:
            await way.run(20)
            await gate.look()

    await _told(way, 1, gate, _Growing(), _Growing(), gate)


class _Overtaken(MemoryFlagStore):
    """Somebody takes the task back just before the gate's change."""

    overtakes = 1

    async def replace(
        self,
        flags: Mapping[str, Flag],
        *,
        expected_version: int | None,
        author: str,
        reason: str,
        source: str,
        evidence: FlagEvidence | None = None,
    ) -> FlagSnapshot:
        if source == "gate" and self.overtakes:
            self.overtakes -= 1
            await super().replace({TASK: Flag(task=TASK)}, expected_version=None, author="ben", reason="", source="api")
            raise FlagConflict(expected_version or 0, self.snapshot.version)
        return await super().replace(
            flags, expected_version=expected_version, author=author, reason=reason, source=source, evidence=evidence
        )


async def test_a_person_who_was_first_wins() -> None:
    way = Way(_Overtaken(), gate=replace(GATE, auto_promote=True, soak_s=0))
    await way.stand("canary 10 %")
    await _sound(way)
    assert await way.comparator().look() == []
    assert (_flag(way).mode, way.flags.snapshot.author) == (Mode.LEGACY, "ben")


class _Away(MemoryLedger):
    async def step_evidence(self, *_: object, **__: object) -> StepEvidence:
        raise StoreUnavailable("ledger out of reach")


async def test_without_the_ledger_nothing_is_known_and_nothing_is_done() -> None:
    way = Way(gate=replace(GATE, auto_promote=True, soak_s=0))
    way.ledger = _Away()
    before = await way.stand("canary 10 %")
    with pytest.raises(StoreUnavailable):
        await way.comparator().look()
    assert way.flags.snapshot == before


async def _before_events(gate: Gate, *, hidden: int) -> Way:
    """A task that has shown all it has to, and is one step away from being left to events."""
    way = Way(gate=gate)
    await way.stand("canary 50 %")
    await way.run(3_000, hidden=hidden)
    await way.deal({Side.EVENTS: 50, Side.LEGACY: 50})
    way.wait(7_200)
    return way


async def test_nothing_is_left_to_events_while_a_rule_hides_what_differs_unless_somebody_says_why() -> None:
    way = await _before_events(GATE, hidden=2)
    with pytest.raises(NotProven, match=r"rules hide differences of 'shop[.]charge' in 2 pairs") as refused:
        await way.promote.promote(TASK, to=None, force=False, author="ann", reason="", source="api")
    assert [error.pointer for error in refused.value.errors] == ["/rules"]
    assert _flag(way).mode is Mode.CANARY
    await way.promote.promote(TASK, to=None, force=True, author="ann", reason="the new wording is wanted", source="api")
    assert _flag(way).mode is Mode.EVENTS


async def test_a_rule_that_hides_nothing_or_an_earlier_step_keeps_nobody() -> None:
    way = await _before_events(GATE, hidden=0)
    await way.promote.promote(TASK, to=None, force=False, author="ann", reason="", source="api")
    assert _flag(way).mode is Mode.EVENTS
    earlier = Way()
    await earlier.stand("canary 10 %")
    await earlier.run(600, hidden=600)
    await earlier.deal({Side.EVENTS: 10, Side.LEGACY: 90})
    earlier.wait(61)
    await earlier.promote.promote(TASK, to=None, force=False, author="ann", reason="", source="api")
    assert _flag(earlier).mode is Mode.CANARY


@pytest.mark.parametrize(("hidden", "mode"), [(0, Mode.EVENTS), (1, Mode.CANARY)])
async def test_the_gate_leaves_a_task_with_hidden_differences_to_a_person(hidden: int, mode: Mode) -> None:
    way = await _before_events(replace(GATE, auto_promote=True), hidden=hidden)
    gate = way.comparator()
    await gate.look()
    assert _flag(way).mode is mode
    assert (gate.verdicts[TASK].why_not == "rules hide differences") is (hidden > 0)
