"""What a rule would hide, before anybody saves it."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.comparison import IgnoreRule, Rule, ToleranceRule, UnorderedRule, effect_of_rule
from gateway.core.comparison import DifferenceKind, Verdict
from tests.support.records import a_comparison, a_difference

TODAY = date(2026, 5, 4)
COMPARISONS = [
    a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference("/value/total", authority=1.00, shadow=1.01)),
    a_comparison("s2", Verdict.DIFFERENT_VALUE, a_difference("/value/total", authority=1.00, shadow=9.00), a_difference("/value/name")),
    a_comparison("s3", Verdict.DIFFERENT_VALUE, a_difference("/value/total", ignored_by="known"), a_difference("/value/name")),
    a_comparison("s4", Verdict.DIFFERENT_VALUE, a_difference("/value/items", kind=DifferenceKind.ORDER)),
]


@pytest.mark.parametrize(
    ("rule", "touched", "same_then", "paths"),
    [
        (IgnoreRule(id="r", path="/value/total", owner="o", reason="r"), 2, 1, (("/value/total", 2),)),
        (IgnoreRule(id="r", path="/value/*", owner="o", reason="r"), 4, 4, (("/value/total", 2), ("/value/name", 2), ("/value/items", 1))),
        (IgnoreRule(id="r", path="/value/none", owner="o", reason="r"), 0, 0, ()),
        (IgnoreRule(id="r", path="/value/total", owner="o", reason="r", expires=date(2026, 5, 3)), 0, 0, ()),
        (ToleranceRule(id="r", path="/value/total", owner="o", reason="r", absolute=0.05), 1, 1, (("/value/total", 1),)),
        (UnorderedRule(id="r", path="/value/items", owner="o", reason="r"), 1, 1, (("/value/items", 1),)),
        (UnorderedRule(id="r", path="/value/total", owner="o", reason="r"), 0, 0, ()),
    ],
)
def test_a_rule_says_what_it_hides_and_what_is_left(rule: Rule, touched: int, same_then: int, paths: tuple[tuple[str, int], ...]) -> None:
    effect = effect_of_rule(rule, COMPARISONS, TODAY)
    assert (effect.looked_at, effect.touched, effect.same_then, effect.paths) == (4, touched, same_then, paths)
