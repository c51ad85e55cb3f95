"""Steps and the moves between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FlagRejected, UnsafeShadow
from gateway.core.flags import Flag
from gateway.core.gate_settings import Gate, OnWorkerLoss
from gateway.core.share import FULL_SHARE
from gateway.core.stages import at_step, exposes_callers, gate_of, is_forward, next_step, reachable, same_routing, step_of
from gateway.core.step import DEFAULT_STEPS, Step, parse_step
from gateway.core.targeting import Condition, Operator, Rule

SHARES = st.integers(1, FULL_SHARE)
STEPS = st.one_of(
    st.just(Step(Mode.LEGACY)),
    st.just(Step(Mode.EVENTS)),
    st.builds(Step, st.sampled_from([Mode.SHADOW, Mode.CANARY, Mode.MIRROR]), SHARES),
)
WAYS = st.lists(STEPS.filter(lambda step: step.mode is not Mode.LEGACY), min_size=1, max_size=6, unique=True).map(
    lambda steps: tuple(sorted(steps, key=lambda step: step.rank))
)


@given(STEPS)
def test_a_step_reads_back_from_its_text(step: Step) -> None:
    assert parse_step(str(step)) == step


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("canery 1 %", "one of legacy, shadow"),
        ("canary", "needs a percentage"),
        ("events 5 %", "takes no percentage"),
        ("shadow 0 %", "above 0"),
        ("shadow 101 %", "0 to 100"),
        ("canary 0.0001 %", "steps of 0.001"),
        ("", "such as 'canary 1 %'"),
    ],
)
def test_what_is_no_step_is_refused_with_what_would_be_right(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_step(text)


@given(WAYS, STEPS, STEPS)
def test_one_step_forward_and_any_step_back_is_all_that_is_reachable(way: tuple[Step, ...], here: Step, wanted: Step) -> None:
    flag = at_step(Flag(task="a", safety=Safety.PURE, gate=Gate(steps=way)), here)
    ahead = next_step(flag)
    assert step_of(flag) == here
    assert ahead is None or ahead.rank > here.rank
    assert reachable(flag, wanted) == (wanted.rank <= here.rank or (ahead is not None and wanted.rank <= ahead.rank))


@given(WAYS)
def test_going_on_and_on_takes_every_step_once_and_ends(way: tuple[Step, ...]) -> None:
    flag, taken = Flag(task="a", safety=Safety.PURE, gate=Gate(steps=way)), []
    while (ahead := next_step(flag)) is not None:
        flag = at_step(flag, ahead)
        flag.check()
        assert is_forward(None, flag)
        taken.append(ahead)
    assert tuple(taken) == way


def test_what_a_canary_has_not_moved_stays_observed_as_before() -> None:
    flag = Flag(task="a", safety=Safety.PURE, gate=Gate(steps=DEFAULT_STEPS))
    assert at_step(flag, parse_step("canary 1 %")) == replace(flag, mode=Mode.CANARY, events_share=1_000, shadow_share=FULL_SHARE)


def test_a_task_that_may_not_be_observed_has_no_step_that_observes_it() -> None:
    assert {step.mode for step in gate_of(Flag(task="a")).steps} == {Mode.CANARY, Mode.EVENTS}
    with pytest.raises(UnsafeShadow, match="shadow 5 %"):
        Flag(task="a", gate=Gate()).check()


def test_evidence_outlives_what_does_not_deal_submissions_otherwise() -> None:
    flag = Flag(task="a", mode=Mode.SHADOW, shadow_share=5_000, safety=Safety.PURE)
    assert same_routing(flag, replace(flag, gate=Gate(), held=True, on_worker_loss=OnWorkerLoss.ROLLBACK))
    assert not same_routing(flag, replace(flag, shadow_share=6_000))
    assert not same_routing(flag, replace(flag, salt="again"))
    assert not same_routing(flag, None)


def test_a_rule_alone_exposes_callers_too() -> None:
    rule = Rule(name="pilot", when=(Condition(path="attributes.tenant", operator=Operator.EQ, value="a"),), mode=Mode.EVENTS)
    shadow = Flag(task="a", mode=Mode.SHADOW, shadow_share=5_000, safety=Safety.PURE)
    assert [exposes_callers(flag) for flag in (shadow, replace(shadow, rules=(rule,)), at_step(shadow, Step(Mode.CANARY, 1)))] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("gate", "pointer"),
    [
        (Gate(steps=()), "/gate/steps"),
        (Gate(steps=(Step(Mode.CANARY, 9), Step(Mode.CANARY, 5))), "/gate/steps/1"),
        (Gate(steps=(Step(Mode.LEGACY),)), "/gate/steps/0"),
        (Gate(soak_s=-1), "/gate/soak_s"),
        (Gate(soak_s=float("nan")), "/gate/soak_s"),
        (Gate(min_samples=0), "/gate/min_samples"),
        (Gate(mismatch_percent=0), "/gate/mismatch_percent"),
        (Gate(missing_percent=101), "/gate/missing_percent"),
        (Gate(error_points=-1), "/gate/error_points"),
        (Gate(latency_ratio=float("inf")), "/gate/latency_ratio"),
        (Gate(dead_letters=-1), "/gate/dead_letters"),
    ],
)
def test_a_gate_that_cannot_be_is_refused_where_it_is_wrong(gate: Gate, pointer: str) -> None:
    with pytest.raises(FlagRejected) as caught:
        Flag(task="a", safety=Safety.PURE, gate=gate).check()
    assert [error.pointer for error in caught.value.errors] == [pointer]
