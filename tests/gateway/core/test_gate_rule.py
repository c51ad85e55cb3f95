"""From counts to checks, from checks to an action."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Role, Side, State
from gateway.core.comparison import Verdict
from gateway.core.gate import Check, CheckName, CheckResult, GateAction, Unit
from gateway.core.gate_check import StepState
from gateway.core.gate_rule import action_of, checks_of
from gateway.core.gate_settings import Gate
from gateway.core.step import Step
from gateway.core.step_evidence import StepEvidence

CANARY, SHADOW = Step(Mode.CANARY, 10_000), Step(Mode.SHADOW, 100_000)
COUNTS = st.integers(0, 3_000)
OUTCOMES = st.dictionaries(st.tuples(st.sampled_from(Side), st.sampled_from(Role), st.sampled_from(State)), COUNTS)
EVIDENCE = st.builds(
    StepEvidence,
    verdicts=st.dictionaries(st.sampled_from(Verdict), COUNTS),
    outcomes=OUTCOMES,
    ratios=st.dictionaries(st.integers(-50, 50), COUNTS),
    keys=st.dictionaries(st.sampled_from(Side), COUNTS),
)
STEPS = st.one_of(
    st.just(Step(Mode.LEGACY)),
    st.just(Step(Mode.EVENTS)),
    st.builds(Step, st.sampled_from([Mode.SHADOW, Mode.CANARY, Mode.MIRROR]), st.integers(1, 100_000)),
)


def _state(step: Step = CANARY, elapsed_s: float = 9_999.0, workers: int | None = 2) -> StepState:
    return StepState(step=step, elapsed_s=elapsed_s, workers=workers)


def _sound(n: int = 2_000) -> StepEvidence:
    """A canary of 10 % in which nothing is wrong."""
    return StepEvidence(
        verdicts={Verdict.EQUAL: n},
        outcomes={(Side.EVENTS, Role.AUTHORITY, State.SUCCEEDED): n, (Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 9 * n},
        ratios={-1: n // 2, 0: n // 2},
        keys={Side.EVENTS: 100, Side.LEGACY: 900},
    )


def _with(**changes: object) -> StepEvidence:
    sound = _sound()
    members = {name: getattr(sound, name) for name in ("verdicts", "outcomes", "ratios", "keys")}
    return StepEvidence(**{**members, **changes})


def _action(evidence: StepEvidence, gate: Gate | None = None, **state: object) -> GateAction:
    seen = _state(**state)  # type: ignore[arg-type]  # each test names its own few
    return action_of(checks_of(gate or Gate(), seen, evidence), exposed=seen.step.exposes_callers, last=False)[0]


def _check(name: CheckName, evidence: StepEvidence, gate: Gate | None = None, step: Step = CANARY) -> Check:
    (check,) = (check for check in checks_of(gate or Gate(), _state(step), evidence) if check.name is name)
    return check


@given(STEPS, st.floats(0, 1e6), st.one_of(st.none(), st.integers(0, 5)))
def test_no_data_never_promotes_and_never_takes_back(step: Step, elapsed_s: float, workers: int | None) -> None:
    assert _action(StepEvidence(), step=step, elapsed_s=elapsed_s, workers=workers) is GateAction.HOLD or step.mode is Mode.LEGACY


@given(STEPS, EVIDENCE)
def test_only_a_step_that_answers_callers_is_ever_taken_back(step: Step, evidence: StepEvidence) -> None:
    action = _action(evidence, step=step)
    assert action is not GateAction.ROLL_BACK or step.exposes_callers


@given(EVIDENCE, st.floats(0, 3_599))
def test_nothing_goes_on_before_its_soak_is_over(evidence: StepEvidence, elapsed_s: float) -> None:
    assert _action(evidence, elapsed_s=elapsed_s) is not GateAction.PROMOTE


@given(EVIDENCE)
def test_every_check_has_words_and_a_number_where_there_is_data(evidence: StepEvidence) -> None:
    for check in checks_of(Gate(dead_letters=3), _state(), evidence):
        assert check.text
        assert (check.result is CheckResult.NO_DATA) == (check.observed is None)


def test_a_sound_canary_goes_on() -> None:
    assert _action(_sound()) is GateAction.PROMOTE
    assert action_of(checks_of(Gate(), _state(), _sound()), exposed=True, last=True)[0] is GateAction.HOLD


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (_with(verdicts={Verdict.EQUAL: 500, Verdict.DIFFERENT_EFFECT: 9}), CheckName.MISMATCH),
        (
            _with(
                outcomes={
                    (Side.EVENTS, Role.AUTHORITY, State.SUCCEEDED): 450,
                    (Side.EVENTS, Role.AUTHORITY, State.DEAD_LETTERED): 50,
                    (Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 4_500,
                }
            ),
            CheckName.ERRORS,
        ),
        (_with(ratios={20: 400}), CheckName.LATENCY),
    ],
)
def test_proven_harm_takes_a_canary_back_and_leaves_a_shadow_where_it_is(evidence: StepEvidence, name: CheckName) -> None:
    assert _check(name, evidence).result is CheckResult.FAIL
    assert _action(evidence) is GateAction.ROLL_BACK
    assert _action(evidence, step=SHADOW) is GateAction.HOLD


@pytest.mark.parametrize(
    ("evidence", "name"),
    [
        (_with(verdicts={Verdict.EQUAL: 500, Verdict.MISSING: 100}), CheckName.MISSING),
        (_with(keys={Side.EVENTS: 500, Side.LEGACY: 500}), CheckName.SPLIT),
    ],
)
def test_what_is_missing_or_badly_dealt_stops_a_task_and_takes_nothing_back(evidence: StepEvidence, name: CheckName) -> None:
    assert _check(name, evidence).result is CheckResult.FAIL
    assert _action(evidence) is GateAction.HOLD


def test_without_a_worker_nothing_goes_on() -> None:
    assert _action(_sound(), workers=0) is GateAction.HOLD
    assert _action(_sound(), workers=None) is GateAction.HOLD


def test_clean_runs_count_towards_the_bound_they_are_to_prove() -> None:
    check = _check(CheckName.MISMATCH, _with(verdicts={Verdict.EQUAL: 312}), Gate(mismatch_percent=0.5))
    assert (check.result, check.n, check.needed) == (CheckResult.INCONCLUSIVE, 312, 598)
    assert check.text == "312 of 598 clean runs to prove < 0.5 %"


def test_min_samples_ask_for_more_than_the_bound_does() -> None:
    check = _check(CheckName.MISMATCH, _with(verdicts={Verdict.EQUAL: 700}), Gate(mismatch_percent=0.5, min_samples=1_000))
    assert (check.result, check.needed) == (CheckResult.INCONCLUSIVE, 1_000)


def test_both_sides_failing_alike_is_no_harm() -> None:
    alike = _with(
        outcomes={
            (Side.EVENTS, Role.AUTHORITY, State.SUCCEEDED): 1_800,
            (Side.EVENTS, Role.AUTHORITY, State.FAILED): 200,
            (Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 16_200,
            (Side.LEGACY, Role.AUTHORITY, State.FAILED): 1_800,
        }
    )
    assert _check(CheckName.ERRORS, alike).result is not CheckResult.FAIL
    assert _action(alike) is GateAction.HOLD
    assert _action(alike, Gate(error_points=2)) is GateAction.PROMOTE


EVENTS = Step(Mode.EVENTS)
BEFORE = {(Side.LEGACY, Role.AUTHORITY, State.SUCCEEDED): 2_850, (Side.LEGACY, Role.AUTHORITY, State.FAILED): 150}


def _of_events(failed: int, n: int, before: dict[tuple[Side, Role, State], int]) -> StepEvidence:
    role = Role.AUTHORITY
    ended = {(Side.EVENTS, role, State.FAILED): failed, (Side.EVENTS, role, State.SUCCEEDED): n - failed}
    return StepEvidence(outcomes=ended, before=before)


@pytest.mark.parametrize(
    ("failed", "n", "before", "result"),
    [
        (100, 2_000, BEFORE, CheckResult.PASS),
        (140, 2_000, BEFORE, CheckResult.INCONCLUSIVE),
        (300, 2_000, BEFORE, CheckResult.FAIL),
        (3, 2_000, {}, CheckResult.PASS),
        (100, 2_000, {}, CheckResult.INCONCLUSIVE),
        (300, 2_000, {}, CheckResult.FAIL),
        (0, 0, BEFORE, CheckResult.NO_DATA),
    ],
)
def test_where_legacy_runs_no_more_errors_are_judged_by_what_it_did_before_or_by_a_bound_no_sound_task_is_beyond(
    failed: int, n: int, before: dict[tuple[Side, Role, State], int], result: CheckResult
) -> None:
    assert _check(CheckName.ERRORS, _of_events(failed, n, before), step=EVENTS).result is result


def test_dead_letters_are_looked_at_only_where_the_gate_says_how_many_may_be() -> None:
    dead = _with(outcomes={**_sound().outcomes, (Side.EVENTS, Role.AUTHORITY, State.DEAD_LETTERED): 3})
    assert CheckName.DEAD_LETTERS not in {check.name for check in checks_of(Gate(), _state(), dead)}
    assert _check(CheckName.DEAD_LETTERS, dead, Gate(dead_letters=3)).result is CheckResult.PASS
    assert _action(dead, Gate(dead_letters=2)) is GateAction.ROLL_BACK


def test_in_a_mirror_the_events_side_is_the_authority_whose_time_is_measured() -> None:
    mirror = Step(Mode.MIRROR, 100_000)
    assert _check(CheckName.LATENCY, _with(ratios={20: 400}), step=mirror).result is CheckResult.PASS
    assert _check(CheckName.LATENCY, _with(ratios={-20: 400}), step=mirror).result is CheckResult.FAIL


def test_a_bound_of_all_of_them_never_fails() -> None:
    check = _check(CheckName.MISMATCH, _with(verdicts={Verdict.DIFFERENT_VALUE: 5_000}), Gate(mismatch_percent=100))
    assert (check.result, check.unit) == (CheckResult.PASS, Unit.PERCENT)


def test_what_was_cancelled_speaks_neither_for_nor_against_a_side() -> None:
    sound = _sound()
    cancelled = replace(
        sound,
        verdicts={**sound.verdicts, Verdict.CANCELLED: 5_000},
        outcomes={**sound.outcomes, (Side.EVENTS, Role.AUTHORITY, State.REVOKED): 5_000},
    )
    assert (cancelled.compared, cancelled.different, cancelled.unpaired) == (sound.compared, sound.different, sound.unpaired)
    assert cancelled.runs(Side.EVENTS, Mode.CANARY) == sound.runs(Side.EVENTS, Mode.CANARY)
    assert _action(cancelled) is _action(sound)
