"""What the report says of a group whose task has control runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import JsonValue
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.noise import CONTROL_RUNS_MIN, FieldJudgement, FieldStanding
from gateway.core.report import DifferenceGroup
from gateway.report import render_html, render_json, render_markdown
from gateway.report.suggestion import Suggestion, suggestion_for
from gateway.report.summary import summarise
from tests.support.reports import a_group, a_report, a_task


def test_a_field_legacy_does_not_do_twice_alike_is_suggested_to_be_ignored() -> None:
    group = a_group("/value/at", count=980)
    task = replace(a_task("t", {Verdict.DIFFERENT_VALUE: 1_000}, group), controls={"": 100, group.fingerprint: 98})
    (summary,) = summarise(a_report(task)).tasks
    assert summary.noise_in_words(group) == "Noise: differs in 98.0 % of 100 legacy-against-legacy runs: ignore?"
    for render in (render_html, render_markdown):
        assert "ignore?" in render(a_report(task))
    assert '"ignore":true' in render_json(a_report(task))


NOISY = FieldJudgement(FieldStanding.NOISE, 0.0, 1.0, 1.0, CONTROL_RUNS_MIN)
PATHS = st.sampled_from(["/state", "/error", "/value", "/value/at", "/effects/sql/INSERT lines", "/effects/http/POST */orders", "/trace"])


@given(aspect=st.sampled_from(Aspect), kind=st.sampled_from(DifferenceKind), path=PATHS, sample=st.sampled_from([1, None, {"a": 1}]))
def test_no_rule_is_suggested_that_hides_how_a_task_ends_or_a_whole_effect(
    aspect: Aspect, kind: DifferenceKind, path: str, sample: JsonValue
) -> None:
    suggested = suggestion_for(a_group(path, aspect=aspect, kind=kind, samples=((sample, sample),)), NOISY)
    harmful = aspect in (Aspect.STATE, Aspect.ERROR) or kind in (DifferenceKind.EFFECT_MISSING, DifferenceKind.EFFECT_EXTRA)
    assert not (harmful and suggested)
    is_order = kind in (DifferenceKind.ORDER, DifferenceKind.SPAN_ORDER)
    assert suggested in ((None, Suggestion.UNORDERED) if is_order else (None, Suggestion.IGNORE))
    whole = aspect is Aspect.EFFECTS and path == "/effects/sql/INSERT lines"
    assert not whole or suggested in (None, Suggestion.UNORDERED)


@pytest.mark.parametrize(
    ("group", "suggested"),
    [
        (a_group("/value/at"), Suggestion.IGNORE),
        (a_group("/value"), Suggestion.IGNORE),
        (a_group("/effects/sql/INSERT lines/set/at", aspect=Aspect.EFFECTS, kind=DifferenceKind.EFFECT_CHANGED), Suggestion.IGNORE),
        (a_group("/effects/sql/INSERT lines", aspect=Aspect.EFFECTS, kind=DifferenceKind.ORDER), Suggestion.UNORDERED),
        (a_group("/value", kind=DifferenceKind.TYPE), None),
    ],
)
def test_the_narrowest_rule_is_suggested(group: DifferenceGroup, suggested: Suggestion | None) -> None:
    assert suggestion_for(group, NOISY) is suggested


def test_what_only_the_shadow_does_is_no_noise() -> None:
    group = a_group("/value/total", count=40)
    task = replace(a_task("t", {Verdict.EQUAL: 960, Verdict.DIFFERENT_VALUE: 40}, group), controls={"": 500})
    (summary,) = summarise(a_report(task)).tasks
    assert summary.noise_in_words(group).startswith("No noise")


def test_without_control_runs_nothing_is_said() -> None:
    group = a_group()
    (summary,) = summarise(a_report(a_task("t", {Verdict.DIFFERENT_VALUE: 12}, group))).tasks
    assert summary.noise_in_words(group) == ""
