"""The routing rule: buckets, plans, decisions."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise, product

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Reason, Role, Safety, Side
from gateway.core.errors import UnsafeShadow
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot, share_of
from gateway.core.routing import PLANS, Plan, bucket_of, decide

TASK = "order.send_order_confirmation"
STEPS = (0.01, 0.1, 1, 5, 25, 100)
KEYS = 50_000
VECTORS = [
    ("rollout", "order.send_order_confirmation", "customer-1", 63904),
    ("rollout", "order.send_order_confirmation", "customer-2", 11310),
    ("shadow", "order.send_order_confirmation", "customer-1", 13319),
    ("rolloutagain", "cart.merge_carts", "customer-1", 42098),
    ("", "", "", 43665),
    ("rollout", "learning.add", "01932f5e-7c1a-7f3e-9a51-3f6f0a2b4c5d", 16642),
    ("rollout", "learning.add", "Zürich", 29433),
    ("rollout", "learning.add", "顧客", 38659),
]


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", 0x00000000),
        ("a", 0x3C2569B2),
        ("abc", 0xB3DD93FA),
        ("test", 0xBA6BD213),
        ("Hello, world!", 0xC0363E43),
        ("The quick brown fox jumps over the lazy dog", 0x2E4FF723),
    ],
)
def test_the_hash_is_murmur3_32_with_seed_0(text: str, hashed: int) -> None:
    assert mmh3.hash(text, signed=False) == hashed


@pytest.mark.parametrize(("salt", "task", "key", "bucket"), VECTORS)
def test_a_bucket_never_changes(salt: str, task: str, key: str, bucket: int) -> None:
    assert bucket_of(salt, task, key) == bucket, "every cohort would be dealt again: that needs another hash_version"


@given(st.text(), st.text(), st.text())
def test_a_bucket_is_on_the_ring(salt: str, task: str, key: str) -> None:
    assert 0 <= bucket_of(salt, task, key) < FULL_SHARE


def test_the_plans_are_those_of_the_design() -> None:
    legacy, events = Side.LEGACY, Side.EVENTS
    designed = {
        Mode.LEGACY: (Plan(legacy, None), Plan(legacy, None)),
        Mode.SHADOW: (Plan(legacy, events), Plan(legacy, events)),
        Mode.CANARY: (Plan(legacy, events), Plan(events, None)),
        Mode.MIRROR: (Plan(events, legacy), Plan(events, legacy)),
        Mode.EVENTS: (Plan(events, None), Plan(events, None)),
    }
    assert {(mode, moved): plan for mode, plans in designed.items() for moved, plan in zip((False, True), plans, strict=True)} == PLANS


def test_there_is_a_plan_for_every_mode_and_none_shadows_its_own_side() -> None:
    assert set(PLANS) == set(product(Mode, (False, True)))
    assert all(plan.shadow is not plan.authority for plan in PLANS.values())


def _snapshot(*flags: Flag) -> FlagSnapshot:
    return FlagSnapshot(version=7, flags={flag.task: flag for flag in flags})


def _moved(percent: float, keys: range, salt: str = "") -> set[int]:
    snapshot = _snapshot(Flag(task=TASK, mode=Mode.CANARY, events_share=share_of(percent), salt=salt))
    return {key for key in keys if decide(TASK, str(key), snapshot).authority is Side.EVENTS}


def _shadowed(percent: float, keys: range, mode: Mode = Mode.SHADOW) -> set[int]:
    snapshot = _snapshot(Flag(task=TASK, mode=mode, shadow_share=share_of(percent)))
    return {key for key in keys if decide(TASK, str(key), snapshot).shadow is not None}


def test_raising_the_rollout_only_adds_keys_and_meets_its_share() -> None:
    _assert_nested_and_fair([_moved(percent, range(KEYS)) for percent in STEPS])


def test_raising_the_shadow_only_adds_keys_and_meets_its_share() -> None:
    _assert_nested_and_fair([_shadowed(percent, range(KEYS)) for percent in STEPS])


def _assert_nested_and_fair(sets: list[set[int]]) -> None:
    for smaller, larger in pairwise(sets):
        assert smaller < larger
    for percent, keys in zip(STEPS, sets, strict=True):
        share = percent / 100
        # Five standard deviations of a binomial: one honest hash in a million falls outside.
        assert abs(len(keys) - KEYS * share) <= 5 * math.sqrt(KEYS * share * (1 - share))


def test_nothing_and_everything_are_total() -> None:
    keys = range(2_000)
    assert _moved(0, keys) == _shadowed(0, keys) == set()
    assert _moved(100, keys) == _shadowed(100, keys) == set(keys)


def test_the_smallest_share_is_no_rounding_to_nothing() -> None:
    assert 0 < len(_moved(0.001, range(400_000))) < 20


def test_keys_that_move_first_are_not_the_keys_observed_first() -> None:
    half_moved, half_shadowed = _moved(50, range(KEYS)), _shadowed(50, range(KEYS))
    both = len(half_moved & half_shadowed)
    assert abs(both - KEYS / 4) <= 5 * math.sqrt(KEYS * 0.25 * 0.75)


def test_a_decision_names_the_safety_class_where_there_is_a_shadow() -> None:
    flag = Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.PURE)
    assert decide(TASK, "k", _snapshot(flag)).safety is Safety.PURE
    assert decide(TASK, "k", _snapshot(replace(flag, shadow_share=0))).safety is None


def test_another_salt_deals_again() -> None:
    both = len(_moved(50, range(KEYS)) & _moved(50, range(KEYS), salt="again"))
    assert abs(both - KEYS / 4) <= 5 * math.sqrt(KEYS * 0.25 * 0.75)


def test_tasks_do_not_share_their_victims() -> None:
    other = "cart.merge_carts"
    snapshot = _snapshot(*(Flag(task=task, mode=Mode.CANARY, events_share=share_of(50)) for task in (TASK, other)))
    both = sum(all(decide(task, str(key), snapshot).authority is Side.EVENTS for task in (TASK, other)) for key in range(KEYS))
    assert abs(both - KEYS / 4) <= 5 * math.sqrt(KEYS * 0.25 * 0.75)


def test_the_same_submission_gets_the_same_decision() -> None:
    snapshot = _snapshot(Flag(task=TASK, mode=Mode.CANARY, events_share=share_of(50), shadow_share=share_of(50)))
    assert [decide(TASK, "k", snapshot) for _ in range(3)] == [decide(TASK, "k", snapshot)] * 3


def test_a_task_without_a_flag_runs_on_legacy() -> None:
    decision = decide(TASK, "k", FlagSnapshot(version=3))
    assert (decision.mode, decision.authority, decision.shadow) == (Mode.LEGACY, Side.LEGACY, None)
    assert (decision.reason, decision.bucket, decision.flag_version) == (Reason.NO_FLAG, None, 3)


@pytest.mark.parametrize("mode", [Mode.LEGACY, Mode.SHADOW, Mode.MIRROR, Mode.EVENTS])
def test_outside_a_canary_the_mode_alone_decides(mode: Mode) -> None:
    decision = decide(TASK, "k", _snapshot(Flag(task=TASK, mode=mode, events_share=FULL_SHARE, shadow_share=FULL_SHARE)))
    assert (decision.authority, decision.shadow) == (PLANS[mode, False].authority, PLANS[mode, False].shadow)
    assert (decision.reason, decision.bucket, decision.flag_version) == (Reason.BY_MODE, None, 7)


def test_a_canary_says_which_part_a_key_is_in_and_why() -> None:
    snapshot = _snapshot(Flag(task=TASK, mode=Mode.CANARY, events_share=share_of(30), shadow_share=FULL_SHARE))
    for key in range(200):
        decision = decide(TASK, str(key), snapshot)
        assert decision.bucket is not None
        moved = decision.bucket < share_of(30)
        assert decision.reason is (Reason.IN_ROLLOUT if moved else Reason.OUT_OF_ROLLOUT)
        assert (decision.authority, decision.shadow) == ((Side.EVENTS, None) if moved else (Side.LEGACY, Side.EVENTS))


@pytest.mark.parametrize("mode", [Mode.LEGACY, Mode.EVENTS])
def test_a_mode_without_a_shadow_has_none_whatever_the_share(mode: Mode) -> None:
    assert _shadowed(100, range(50), mode) == set()


def test_a_flag_of_the_task_comes_before_any_glob_and_the_longest_glob_before_others() -> None:
    own, long, short, every = (Flag(task=name) for name in (TASK, "order.send*", "order.*", "*"))
    assert _snapshot(every, short, long, own).flag_for(TASK) is own
    assert _snapshot(every, short, long).flag_for(TASK) is long
    assert _snapshot(every, short).flag_for(TASK) is short
    assert _snapshot(every).flag_for(TASK) is every
    assert _snapshot(short).flag_for("cart.merge_carts") is None


def test_of_two_globs_of_one_length_the_alphabetically_first_holds_in_any_order() -> None:
    first, second = Flag(task="order.*"), Flag(task="orde?.*")
    expected = min(first, second, key=lambda flag: flag.task)
    assert _snapshot(first, second).flag_for(TASK) is expected
    assert _snapshot(second, first).flag_for(TASK) is expected


def test_a_glob_is_case_sensitive() -> None:
    assert _snapshot(Flag(task="Order.*")).flag_for(TASK) is None


def test_a_task_under_a_glob_is_dealt_by_its_own_name() -> None:
    by_glob = _snapshot(Flag(task="order.*", mode=Mode.CANARY, events_share=share_of(50)))
    by_name = _snapshot(Flag(task=TASK, mode=Mode.CANARY, events_share=share_of(50)))
    assert all(decide(TASK, str(key), by_glob).authority is decide(TASK, str(key), by_name).authority for key in range(500))


def test_a_decision_has_one_authority_and_at_most_one_shadow() -> None:
    roles = {
        plan: [role for role, side in ((Role.AUTHORITY, plan.authority), (Role.SHADOW, plan.shadow)) if side] for plan in PLANS.values()
    }
    assert all(found.count(Role.AUTHORITY) == 1 and found.count(Role.SHADOW) <= 1 for found in roles.values())


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.CANARY, Mode.MIRROR, Mode.EVENTS, Mode.LEGACY])
def test_a_control_run_is_legacy_beside_a_legacy_that_answers_and_only_where_a_shadow_was_due(mode: Mode) -> None:
    flag = Flag(task="t", mode=mode, shadow_share=50_000, control_share=50_000, events_share=50_000, safety=Safety.SANDBOXED)
    plain = replace(flag, control_share=0)
    seen = set()
    for n in range(400):
        with_control, without = (decide("t", f"key-{n}", FlagSnapshot(version=1, flags={"t": one})) for one in (flag, plain))
        assert with_control.authority is without.authority
        assert (with_control.shadow is None) == (without.shadow is None)
        if with_control.shadow is not without.shadow:
            assert (with_control.authority, with_control.shadow) == (Side.LEGACY, Side.LEGACY)
        seen.add(with_control.shadow)
    assert (Side.LEGACY in seen) == (mode in (Mode.SHADOW, Mode.CANARY, Mode.MIRROR))


@pytest.mark.parametrize("safety", [Safety.IDEMPOTENT, Safety.UNSAFE])
def test_a_control_run_needs_a_task_that_may_be_run_twice(safety: Safety) -> None:
    with pytest.raises(UnsafeShadow) as refused:
        Flag(task="t", mode=Mode.SHADOW, control_share=1_000, safety=safety).check()
    assert refused.value.errors[0].pointer == "/control_percent"
    Flag(task="t", mode=Mode.SHADOW, shadow_share=1, control_share=1_000, safety=Safety.PURE).check()
