"""Which differences are the same fault."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.grouping import fingerprint, first_of_each_group
from tests.support.records import a_comparison, a_difference

PARTS = st.tuples(st.text(), st.sampled_from(Aspect), st.sampled_from(DifferenceKind), st.text())


def test_a_fingerprint_is_the_same_in_every_release() -> None:
    # printf '11:shop.charge5:value5:value12:/value/total' | sha256sum | cut -c1-16
    assert fingerprint("shop.charge", Aspect.VALUE, DifferenceKind.VALUE, "/value/total") == "e75cd52926a68cea"


@given(PARTS, PARTS)
def test_fingerprints_agree_only_where_all_parts_do(
    one: tuple[str, Aspect, DifferenceKind, str], other: tuple[str, Aspect, DifferenceKind, str]
) -> None:
    assert (fingerprint(*one) == fingerprint(*other)) == (one == other)


def test_parts_that_run_into_each_other_are_told_apart() -> None:
    assert fingerprint("a", Aspect.VALUE, DifferenceKind.VALUE, "b") != fingerprint("a5:value", Aspect.VALUE, DifferenceKind.VALUE, "b")


def test_the_values_of_a_difference_do_not_make_its_group() -> None:
    one = a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(shadow=1))
    other = a_comparison("s2", Verdict.DIFFERENT_VALUE, a_difference(shadow="else"))
    assert first_of_each_group(one).keys() == first_of_each_group(other).keys()


def test_a_group_shows_the_first_of_its_differences() -> None:
    first, second = a_difference(shadow=1), a_difference(shadow=2)
    assert list(first_of_each_group(a_comparison("s1", Verdict.DIFFERENT_VALUE, first, second)).values()) == [first]


def test_another_rule_makes_another_group() -> None:
    shown = a_difference()
    comparison = a_comparison("s1", Verdict.DIFFERENT_VALUE, shown, replace(shown, ignored_by="a"), replace(shown, ignored_by="b"))
    assert {rule for _, rule in first_of_each_group(comparison)} == {"", "a", "b"}
