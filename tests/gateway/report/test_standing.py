"""Ready, hold because ..., not safe because ..."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.comparison import DifferenceKind, Verdict
from gateway.core.triage import TriageState
from gateway.report.standing import Standing, advice_on
from tests.support.reports import a_group, a_task


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({Verdict.EQUAL: 299}, "Ready because no difference in 299 submissions."),
        ({}, "Hold because nothing has been compared yet."),
        ({Verdict.EQUAL: 1_000, Verdict.MISSING: 2}, "Hold because an outcome is missing in 2 submissions."),
        ({Verdict.EQUAL: 1_000, Verdict.INCOMPLETE: 1}, "Hold because no difference, but not all could be compared in 1 submission."),
        ({Verdict.EQUAL: 1_000, Verdict.DIFFERENT_TRACE: 3}, "Hold because done in another way in 3 submissions."),
        ({Verdict.EQUAL: 9, Verdict.DIFFERENT_EFFECT: 1}, "Not safe because other effects in 1 submission."),
    ],
)
def test_the_advice_names_its_reason(counts: dict[Verdict, int], text: str) -> None:
    assert advice_on(a_task("t", counts)).text == text


def test_shadows_ahead_of_their_authority_are_held_with_what_to_do() -> None:
    early = a_task("t", {Verdict.EQUAL: 1_000, Verdict.INCOMPLETE: 3}, a_group("/state", kind=DifferenceKind.INCOMPLETE))
    advice = advice_on(replace(early, calls_unanswered=5))
    assert advice.standing is Standing.HOLD
    assert "give the flag a shadow_delay_s" in advice.text


def test_too_few_comparisons_say_how_many_more_it_takes() -> None:
    advice = advice_on(a_task("t", {Verdict.EQUAL: 100}))
    assert advice.standing is Standing.HOLD
    assert "199 more without a difference" in advice.text


def test_harm_is_named_before_doubt_and_alone() -> None:
    counts = {Verdict.DIFFERENT_STATE: 1, Verdict.DIFFERENT_VALUE: 2, Verdict.MISSING: 5, Verdict.EQUAL: 1}
    assert advice_on(a_task("t", counts)).because == ("another state in 1 submission", "another value in 2 submissions")


def test_what_was_called_fixed_and_came_again_is_not_safe() -> None:
    again = replace(a_group(), triage=TriageState.REOPENED)
    assert advice_on(a_task("t", {Verdict.EQUAL: 5_000}, again)).standing is Standing.NOT_SAFE
