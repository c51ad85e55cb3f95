"""Flags: shares, checks, snapshots."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FlagRejected, UnsafeShadow
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot, percent_of, share_of


@given(st.integers(0, FULL_SHARE))
def test_a_share_is_the_percentage_it_came_from(share: int) -> None:
    assert share_of(percent_of(share)) == share


@pytest.mark.parametrize(
    ("percent", "share"), [(0, 0), (0.001, 1), (0.1, 100), (12.5, 12_500), (33.333, 33_333), (99.999, 99_999), (100, FULL_SHARE)]
)
def test_shares_count_hundred_thousandths(percent: float, share: int) -> None:
    assert share_of(percent) == share


@pytest.mark.parametrize("percent", [-0.001, 100.001, 0.0001, 0.0005, 12.3456, float("nan"), float("inf"), float("-inf"), 1e308, 10**400])
def test_what_is_no_percentage_in_steps_of_a_thousandth_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 100 in steps of 0\.001"):
        share_of(percent)


@pytest.mark.parametrize(
    ("flag", "pointer"),
    [
        (Flag(task="t", events_share=-1), "/events_percent"),
        (Flag(task="t", events_share=FULL_SHARE + 1), "/events_percent"),
        (Flag(task="t", shadow_share=FULL_SHARE + 1), "/shadow_percent"),
        (Flag(task="t", hash_version=2), "/hash_version"),
        (Flag(task="history"), "/task"),
        (Flag(task="rollback"), "/task"),
    ],
)
def test_a_flag_that_cannot_be_names_the_field(flag: Flag, pointer: str) -> None:
    with pytest.raises(FlagRejected) as caught:
        flag.check()
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(FlagRejected) as caught:
        Flag(task="t", events_share=-1, shadow_share=-1, hash_version=9).check()
    assert [error.pointer for error in caught.value.errors] == ["/events_percent", "/shadow_percent", "/hash_version"]


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.CANARY, Mode.MIRROR])
def test_an_unsafe_task_may_not_run_as_a_shadow(mode: Mode) -> None:
    flag = Flag(task="t", mode=mode, shadow_share=1)
    assert flag.shadows
    with pytest.raises(UnsafeShadow) as caught:
        flag.check()
    assert [error.pointer for error in caught.value.errors] == ["/safety"]


@pytest.mark.parametrize(
    "flag",
    [
        Flag(task="t", mode=Mode.LEGACY, shadow_share=FULL_SHARE),
        Flag(task="t", mode=Mode.EVENTS, shadow_share=FULL_SHARE),
        Flag(task="t", mode=Mode.CANARY, events_share=FULL_SHARE),
        *(Flag(task="t", mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=safety) for safety in Safety if safety is not Safety.UNSAFE),
    ],
)
def test_a_flag_without_a_shadow_or_with_a_safe_one_is_allowed(flag: Flag) -> None:
    flag.check()


def test_setting_a_flag_leaves_the_snapshot_and_the_other_flags_as_they_are() -> None:
    kept, replaced, fresh = Flag(task="a"), Flag(task="b"), Flag(task="b", mode=Mode.EVENTS)
    snapshot = FlagSnapshot(version=4, flags={"a": kept, "b": replaced})
    assert snapshot.with_flag(fresh) == {"a": kept, "b": fresh}
    assert snapshot.flags["b"] is replaced
    assert snapshot.numbered(5) == FlagSnapshot(version=5, flags=snapshot.flags)
