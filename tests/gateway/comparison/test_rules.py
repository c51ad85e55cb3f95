"""Rules: what they hide is counted, and nothing else is hidden."""

from __future__ import annotations

from datetime import date

import pytest

from dualrun.contracts import Effect, JsonValue, Role
from gateway.comparison import IgnoreRule, RuleBook, TaskRules, ToleranceRule, UnorderedRule, compare_outcomes
from gateway.core.comparison import Verdict
from tests.support.comparing import an_outcome, compared, effects_compared, found


def _ignore(path: str, *, expires: date | None = None) -> TaskRules:
    return TaskRules(ignore=(IgnoreRule(id="r1", path=path, owner="me", reason="because", expires=expires),))


def _tolerance(path: str, *, absolute: float = 0.0, relative: float = 0.0) -> TaskRules:
    return TaskRules(tolerance=(ToleranceRule(id="t1", path=path, owner="me", reason="r", absolute=absolute, relative=relative),))


UNORDERED = TaskRules(unordered=(UnorderedRule(id="u1", path="/value/tags", owner="me", reason="a set"),))


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("/value/at", "/value/at", True),
        ("/value/at", "/value/at/zone", True),
        ("/value/at", "/value/attempt", False),
        ("/value/*", "/value/at", True),
        ("/value/*/id", "/value/user/id", True),
        ("/value/*/id", "/value/a/b/id", False),
        ("/value/items/[*]/id", "/value/items/[*]/id", True),
        ("/value/items/*/id", "/value/items/[*]/id", True),
        ("/value/items/[*]/id", "/value/items/x/id", False),
        ("/**/id", "/value/id", True),
        ("/**/id", "/value/a/[*]/b/id", True),
        ("/**/id", "/value/a/idle", False),
        ("/value/**/id", "/value/id", True),
        ("/effects/email/*/subject", "/effects/email/to:*/subject", True),
        ("/effects/http/POST */orders/*/status", "/effects/http/POST */orders/*/status/at", True),
        ("/value/x.y", "/value/xzy", False),
        ("/value/pre_*", "/value/pre_tax", True),
    ],
)
def test_a_pattern_covers_what_it_names_and_everything_below(pattern: str, path: str, covers: bool) -> None:
    rule = IgnoreRule(id="r", path=pattern, owner="me", reason="r")
    assert rule.covers(path, date(2026, 1, 1)) is covers


def test_ignored_differences_are_kept_with_the_rule_that_hid_them() -> None:
    verdict, differences = compared({"at": 1, "n": 1}, {"at": 2, "n": 1}, _ignore("/value/at"))
    assert verdict is Verdict.IGNORED
    assert [(one.path, one.ignored_by) for one in differences] == [("/value/at", "r1")]


def test_a_rule_hides_only_its_path() -> None:
    verdict, differences = compared({"at": 1, "n": 1}, {"at": 2, "n": 2}, _ignore("/value/at"))
    assert verdict is Verdict.DIFFERENT_VALUE
    assert [one.ignored_by for one in differences] == [None, "r1"], "what matters comes first"


def test_an_effect_and_a_state_can_be_ignored() -> None:
    mail = Effect(kind="email", key="to:a@b.c")
    assert effects_compared([mail], [], _ignore("/effects/email"))[0] is Verdict.IGNORED
    ours, theirs = an_outcome(Role.AUTHORITY), an_outcome(Role.SHADOW, error="X")
    assert compare_outcomes(ours, theirs, _ignore("/state"))[0] is Verdict.IGNORED


def test_a_rule_holds_until_the_day_it_expires() -> None:
    assert compared(1, 2, _ignore("/value", expires=date(2026, 11, 21)))[0] is Verdict.IGNORED
    assert compared(1, 2, _ignore("/value", expires=date(2026, 11, 20)))[0] is Verdict.DIFFERENT_VALUE


@pytest.mark.parametrize(
    ("authority", "shadow", "rules", "verdict"),
    [
        (1.0, 1.01, _tolerance("/value", absolute=0.02), Verdict.IGNORED),
        (1.0, 1.03, _tolerance("/value", absolute=0.02), Verdict.DIFFERENT_VALUE),
        (100, 101, _tolerance("/value", relative=0.01), Verdict.IGNORED),
        (-100, 100, _tolerance("/value", relative=0.01), Verdict.DIFFERENT_VALUE),
        (100, 102, _tolerance("/value", absolute=5, relative=0.001), Verdict.IGNORED),
        ("144.00", "144.01", _tolerance("/value", absolute=0.02), Verdict.IGNORED),
        ("soon", "144.01", _tolerance("/value", absolute=0.02), Verdict.DIFFERENT_VALUE),
        (1, True, _tolerance("/value", absolute=5), Verdict.DIFFERENT_VALUE),
        (10**400, 10**400 + 1, _tolerance("/value", absolute=5), Verdict.DIFFERENT_VALUE),
        (1, None, _tolerance("/value", absolute=5), Verdict.DIFFERENT_VALUE),
    ],
)
def test_numbers_may_differ_within_the_tolerance(authority: JsonValue, shadow: JsonValue, rules: TaskRules, verdict: Verdict) -> None:
    assert compared(authority, shadow, rules)[0] is verdict


def test_tolerance_holds_inside_effects() -> None:
    ours, theirs = ([Effect(kind="http", key="POST x", payload={"total": total})] for total in (10.0, 10.01))
    assert effects_compared(ours, theirs, _tolerance("/effects/http/*/total", absolute=0.05))[0] is Verdict.IGNORED


def test_the_order_of_an_unordered_list_does_not_matter() -> None:
    verdict, differences = compared({"tags": [1, 2, 3]}, {"tags": [3, 1, 2]}, UNORDERED)
    assert (verdict, [one.ignored_by for one in differences]) == (Verdict.IGNORED, ["u1"])


def test_members_of_an_unordered_list_are_matched_before_they_are_compared() -> None:
    ours = {"tags": [{"n": 1}, {"n": 2}, {"n": 3}]}
    theirs = {"tags": [{"n": 3}, {"n": 9}, {"n": 1}]}
    (difference,) = compared(ours, theirs, UNORDERED)[1]
    assert (difference.path, difference.authority, difference.shadow) == ("/value/tags/[*]/n", 2, 9)


def test_lists_inside_an_unordered_list_keep_their_order() -> None:
    assert found(compared({"tags": [[1, 2]]}, {"tags": [[2, 1]]}, UNORDERED)) == [("order", "/value/tags/[*]")]
    assert compared({"tags": [[1, 2]]}, {"tags": [[2, 1]]}, UNORDERED)[0] is Verdict.DIFFERENT_VALUE


def test_a_hidden_difference_never_crowds_out_a_real_one() -> None:
    ours: JsonValue = {"noise": {f"n{n}": 0 for n in range(49)}, "more": [{f"m{n}x{m}": 0 for m in range(40)} for n in range(9)], "real": 0}
    theirs: JsonValue = {
        "noise": {f"n{n}": 1 for n in range(49)},
        "more": [{f"m{n}x{m}": 1 for m in range(40)} for n in range(9)],
        "real": 1,
    }
    rules = TaskRules(ignore=_ignore("/value/noise").ignore + _ignore("/value/more").ignore)
    verdict, differences = compared(ours, theirs, rules)
    assert verdict is Verdict.DIFFERENT_VALUE
    assert [one.path for one in differences if one.ignored_by is None and one.kind != "truncated"] == ["/value/real"]


def test_a_task_without_rules_of_its_own_has_the_defaults() -> None:
    book = RuleBook(version="v", tasks={"a": UNORDERED}, default=_ignore("/value/at"))
    assert book.for_task("a") is UNORDERED
    assert book.for_task("b") == _ignore("/value/at")
