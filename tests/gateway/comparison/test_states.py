"""States and error kinds, and the verdict they give."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from dualrun.contracts import Effect, Outcome, Role, Side, State
from gateway.comparison import SynonymRule, TaskRules, compare_outcomes
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from tests.support.comparing import START, an_outcome, found

BY_HTTPX = SynonymRule(id="httpx", path="/error", owner="ann", reason="another client", legacy="HTTPError", events="HTTPStatusError")
MAPPED = TaskRules(errors=(BY_HTTPX,))
MAIL = Effect(kind="email", key="to:a@b.c")


def test_another_state_is_the_worst_difference() -> None:
    ours = an_outcome(Role.AUTHORITY, {"a": 1}, effects=[MAIL])
    verdict, differences = compare_outcomes(ours, an_outcome(Role.SHADOW, error="KeyError"), TaskRules())
    assert verdict is Verdict.DIFFERENT_STATE
    assert (differences[0].aspect, differences[0].path) == (Aspect.STATE, "/state")
    assert (differences[0].authority, differences[0].shadow) == ("succeeded", "failed")


@pytest.mark.parametrize(
    ("ours", "theirs"), [(State.REVOKED, State.SUCCEEDED), (State.SUCCEEDED, State.REVOKED), (State.REVOKED, State.REVOKED)]
)
def test_what_was_cancelled_on_a_side_is_not_compared(ours: State, theirs: State) -> None:
    pair = an_outcome(Role.AUTHORITY, {"a": 1}, state=ours, effects=[MAIL]), an_outcome(Role.SHADOW, {"a": 2}, state=theirs)
    verdict, differences = compare_outcomes(*pair, TaskRules())
    assert (verdict, differences) == (Verdict.CANCELLED, ())
    assert not verdict.is_same
    assert not verdict.is_different


def test_values_are_compared_only_where_both_succeeded() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, {"a": 1}), an_outcome(Role.SHADOW, {"a": 2}, state=State.IGNORED)
    assert found(compare_outcomes(ours, theirs, TaskRules())) == [("state", "/state")]
    failed = an_outcome(Role.AUTHORITY, {"a": 1}, error="X"), an_outcome(Role.SHADOW, {"a": 2}, error="X")
    assert compare_outcomes(*failed, TaskRules()) == (Verdict.EQUAL, ())


def test_failing_the_same_way_is_equal_whatever_the_message() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="OutOfStock"), an_outcome(Role.SHADOW, error="OutOfStock")
    assert compare_outcomes(ours, theirs, TaskRules()) == (Verdict.EQUAL, ())


def _ahead(outcome: Outcome) -> Outcome:
    return msgspec.structs.replace(outcome, calls_unanswered=2)


@pytest.mark.parametrize(("ours", "theirs"), [(None, "KeyError"), ("Declined", None), ("Declined", "KeyError")])
def test_a_shadow_that_lacked_the_answers_is_not_held_to_its_end(ours: str | None, theirs: str | None) -> None:
    authority = an_outcome(Role.AUTHORITY, {"a": 1}, error=ours, effects=[MAIL])
    shadow = an_outcome(Role.SHADOW, {"a": 2}, error=theirs)
    assert compare_outcomes(authority, shadow, TaskRules())[0] is Verdict.DIFFERENT_STATE
    verdict, differences = compare_outcomes(authority, _ahead(shadow), TaskRules())
    assert verdict is Verdict.INCOMPLETE
    assert [(one.kind, one.path) for one in differences] == [(DifferenceKind.INCOMPLETE, "/state")]


def test_a_shadow_that_lacked_the_answers_and_ended_alike_is_compared_as_any() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, 1, effects=[MAIL]), _ahead(an_outcome(Role.SHADOW, 1, effects=[MAIL]))
    assert compare_outcomes(ours, theirs, TaskRules()) == (Verdict.EQUAL, ())
    assert compare_outcomes(ours, msgspec.structs.replace(theirs, value=2), TaskRules())[0] is Verdict.DIFFERENT_VALUE
    assert compare_outcomes(ours, msgspec.structs.replace(theirs, effects=()), TaskRules())[0] is Verdict.DIFFERENT_EFFECT


def test_messages_are_compared_where_a_rule_asks_for_it() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="OutOfStock"), an_outcome(Role.SHADOW, error="OutOfStock")
    assert found(compare_outcomes(ours, theirs, TaskRules(error_messages=True))) == [("error", "/error/message")]


def test_another_error_kind_is_a_difference_of_state() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="HTTPError"), an_outcome(Role.SHADOW, error="HTTPStatusError")
    result = compare_outcomes(ours, theirs, TaskRules())
    assert result[0] is Verdict.DIFFERENT_STATE
    assert found(result) == [("error", "/error")]


def test_error_kinds_that_mean_the_same_are_hidden_by_their_rule_and_counted() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="HTTPError"), an_outcome(Role.SHADOW, error="HTTPStatusError")
    verdict, differences = compare_outcomes(ours, theirs, MAPPED)
    assert verdict is Verdict.IGNORED
    assert [(one.path, one.ignored_by) for one in differences] == [("/error", "httpx")]


def test_a_rule_of_synonyms_ends_with_its_last_day() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="HTTPError"), an_outcome(Role.SHADOW, error="HTTPStatusError")
    expired = TaskRules(errors=(replace(BY_HTTPX, expires=START.date() - timedelta(days=1)),))
    assert compare_outcomes(ours, theirs, expired)[0] is Verdict.DIFFERENT_STATE


def test_states_that_mean_the_same_are_hidden_by_their_rule_and_the_errors_still_compared() -> None:
    rule = SynonymRule(id="reject", path="/state", owner="ann", reason="no such word", legacy="rejected", events="failed")
    ours, theirs = an_outcome(Role.AUTHORITY, state=State.REJECTED), an_outcome(Role.SHADOW, state=State.FAILED)
    verdict, differences = compare_outcomes(ours, theirs, TaskRules(states=(rule,)))
    assert (verdict, [one.ignored_by for one in differences]) == (Verdict.IGNORED, ["reject"])
    failing = an_outcome(Role.SHADOW, error="KeyError")
    assert compare_outcomes(ours, failing, TaskRules(states=(rule,)))[0] is Verdict.DIFFERENT_STATE


def test_the_mapping_follows_the_side_and_not_the_role() -> None:
    ours = an_outcome(Role.AUTHORITY, error="HTTPStatusError", side=Side.EVENTS)
    assert compare_outcomes(ours, an_outcome(Role.SHADOW, error="HTTPError", side=Side.LEGACY), MAPPED)[0].is_same
    backwards = an_outcome(Role.AUTHORITY, error="HTTPError", side=Side.EVENTS)
    assert compare_outcomes(backwards, an_outcome(Role.SHADOW, error="HTTPStatusError", side=Side.LEGACY), MAPPED)[0].is_different


def test_a_side_against_itself_maps_nothing() -> None:
    ours, theirs = an_outcome(Role.AUTHORITY, error="HTTPError"), an_outcome(Role.SHADOW, error="HTTPStatusError", side=Side.LEGACY)
    assert compare_outcomes(ours, theirs, MAPPED)[0] is Verdict.DIFFERENT_STATE


def test_the_verdict_is_the_worst_class() -> None:
    changed = an_outcome(Role.SHADOW, {"a": 2}, effects=[MAIL])
    assert compare_outcomes(an_outcome(Role.AUTHORITY, {"a": 1}, effects=[MAIL]), changed, TaskRules())[0] is Verdict.DIFFERENT_VALUE
    assert compare_outcomes(an_outcome(Role.AUTHORITY, {"a": 1}), changed, TaskRules())[0] is Verdict.DIFFERENT_EFFECT
