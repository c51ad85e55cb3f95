from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import Mode, Safety
from gateway.core.flag_change import ChangeKind, MemberChange, changes_between
from gateway.core.flags import Flag

TASKS = ("cart.merge", "order.*")
FLAGS = st.dictionaries(
    st.sampled_from(TASKS),
    st.builds(
        Flag,
        task=st.just("x"),
        mode=st.sampled_from(Mode),
        events_share=st.integers(0, 3),
        shadow_share=st.integers(0, 3),
        safety=st.sampled_from(Safety),
        salt=st.sampled_from(["", "again"]),
    ),
)


@settings(max_examples=200)
@given(FLAGS, FLAGS)
def test_exactly_the_flags_that_differ_are_told_and_the_way_back_is_the_mirror(before: dict[str, Flag], after: dict[str, Flag]) -> None:
    there, back = changes_between(before, after), changes_between(after, before)
    assert {change.task for change in there} == {task for task in TASKS if before.get(task) != after.get(task)}
    assert all(change.members for change in there)
    assert [[(m.member, m.after, m.before) for m in c.members] for c in there] == [
        [(m.member, m.before, m.after) for m in c.members] for c in back
    ]


def test_a_change_names_the_members_that_changed_alone() -> None:
    before = {"a": Flag(task="a", mode=Mode.CANARY, events_share=1_000)}
    after = {"a": Flag(task="a", mode=Mode.CANARY, events_share=5_500)}
    (change,) = changes_between(before, after)
    assert (change.kind, change.members) == (ChangeKind.CHANGED, (MemberChange(member="events_percent", before=1.0, after=5.5),))


def test_a_new_flag_names_its_mode_and_what_is_no_default() -> None:
    (change,) = changes_between({}, {"a": Flag(task="a", safety=Safety.PURE)})
    assert change.kind is ChangeKind.ADDED
    assert [(m.member, m.before, m.after) for m in change.members] == [("mode", None, "legacy"), ("safety", None, "pure")]
