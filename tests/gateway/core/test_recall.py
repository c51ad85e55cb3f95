"""What a flag change recalls: every message whose key it may have moved, and where that can be known, no other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Mode, Side
from dualrun.contracts.recall import FlagsDigest, Override, effective_version, recalled_before
from dualrun.in_force import FlagsInForce
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot
from gateway.core.recall import next_version
from gateway.core.routing import decide
from gateway.core.targeting import Condition, Operator, Rule
from gateway.flags.wire import StoredFlags, encode_stored

TASK = "order.confirm"
SHARES = st.sampled_from([0, 1, 50_000, FULL_SHARE])
RULES = st.builds(
    lambda mode, share: Rule(
        name="r", when=(Condition(path="attributes.tenant", operator=Operator.EQ, value="a"),), mode=mode, events_share=share
    ),
    st.sampled_from(Mode),
    SHARES,
)
FLAGS = st.builds(
    lambda mode, share, salt, rules: Flag(task="", mode=mode, events_share=share, salt=salt, rules=tuple(rules)),
    st.sampled_from(Mode),
    SHARES,
    st.sampled_from(["", "s"]),
    st.lists(RULES, max_size=1),
)


def named(flags: Mapping[str, Flag]) -> dict[str, Flag]:
    return {name: Flag(task=name, mode=f.mode, events_share=f.events_share, salt=f.salt, rules=f.rules) for name, f in flags.items()}


SETS = st.dictionaries(st.sampled_from([TASK, "order.*", "*", "cart.merge"]), FLAGS, max_size=3).map(named)


def following(present: FlagSnapshot, flags: Mapping[str, Flag]) -> FlagSnapshot:
    return next_version(present, flags, changed_at=datetime.now(UTC), author="a", reason="", source="api")


def heard(snapshot: FlagSnapshot, side: Side) -> int:
    in_force = FlagsInForce(side)
    in_force.adopt(encode_stored(StoredFlags(snapshot)))
    return in_force.recalled_before(TASK)


@given(
    sets=st.lists(SETS, min_size=2, max_size=4), keys=st.lists(st.text(max_size=3), min_size=1, max_size=20), tenant=st.sampled_from("ab")
)
def test_a_key_that_leaves_a_side_is_recalled_from_it(sets: list[dict[str, Flag]], keys: list[str], tenant: str) -> None:
    subject = SimpleNamespace(args=(), kwargs={}, attributes={"tenant": tenant})
    snapshot = FlagSnapshot(version=0)
    decided = []
    for flags in sets:
        snapshot = following(snapshot, flags)
        decided += [decide(TASK, key, snapshot, subject) for key in keys]
    now = {key: decide(TASK, key, snapshot, subject).authority for key in keys}
    for key, decision in zip(keys * len(sets), decided, strict=True):
        if decision.authority is not now[key]:
            assert decision.flag_version < heard(snapshot, decision.authority)


@pytest.mark.parametrize(
    ("before", "after", "recalled"),
    [
        (Flag(task=TASK, mode=Mode.EVENTS), Flag(task=TASK), {Side.EVENTS}),
        (Flag(task=TASK, mode=Mode.CANARY, events_share=10), Flag(task=TASK, mode=Mode.CANARY, events_share=20), {Side.LEGACY}),
        (Flag(task=TASK, mode=Mode.CANARY, events_share=20), Flag(task=TASK, mode=Mode.SHADOW), {Side.EVENTS}),
        (Flag(task=TASK, mode=Mode.LEGACY), Flag(task=TASK, mode=Mode.SHADOW, shadow_share=5), set()),
        (Flag(task=TASK, mode=Mode.EVENTS, salt="a"), Flag(task=TASK, salt="b"), {Side.EVENTS}),
        (Flag(task=TASK, mode=Mode.EVENTS), Flag(task=TASK, mode=Mode.EVENTS, held=True), set()),
    ],
)
def test_a_step_recalls_only_from_the_side_it_leaves(before: Flag, after: Flag, recalled: set[Side]) -> None:
    first = following(FlagSnapshot(version=0), {TASK: before})
    second = following(first, {TASK: after})
    assert {side for side in Side if second.recalls[side].get(TASK) == 2} == recalled


def override(name: str, version: int, task: str) -> Override:
    return Override(id=name, version=version, recalls={Side.EVENTS: (task,)})


def test_overrides_made_one_after_the_other_recall_what_was_decided_before_each() -> None:
    both = [override("a", 6, "x"), override("b", 7, "y")]
    assert recalled_before(FlagsDigest(version=5), both, Side.EVENTS) == {"x": 6, "y": 7}
    assert effective_version(5, both) == 7


def test_overrides_made_at_the_same_time_recall_what_was_decided_without_either() -> None:
    both = [override("a", 6, "x"), override("b", 6, "y")]
    # A gateway that has heard of one of them only decides under version 6.
    assert recalled_before(FlagsDigest(version=5), both, Side.EVENTS) == {"x": 7, "y": 7}


def test_what_is_remembered_yields_to_what_is_live() -> None:
    in_force = FlagsInForce(Side.EVENTS)
    in_force.adopt(b'{"version": 9, "recalls": {"events": {"t": 9}}}', live=False)
    in_force.adopt(b'{"version": 3}')
    assert (in_force.version, in_force.recalled_before("t")) == (3, 0)


def test_an_override_counts_until_the_document_holds_it() -> None:
    in_force = FlagsInForce(Side.EVENTS)
    told: list[int] = []
    in_force.listen(told.append)
    in_force.adopt(b'{"version": 3}')
    for _ in range(2):
        in_force.hear([override("a", 4, "t")])
    assert (in_force.version, in_force.recalled_before("t"), told) == (4, 4, [4])
    in_force.adopt(b'{"version": 5, "overrides": ["a"], "recalls": {"events": {"t": 4}}}')
    assert (in_force.version, in_force.recalled_before("t"), told) == (5, 4, [4])
