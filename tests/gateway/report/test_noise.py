"""What the report says of a group whose task has control runs."""

from __future__ import annotations

from dataclasses import replace

from gateway.core.comparison import Verdict
from gateway.report import render_html, render_json, render_markdown
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


def test_what_only_the_shadow_does_is_no_noise() -> None:
    group = a_group("/value/total", count=40)
    task = replace(a_task("t", {Verdict.EQUAL: 960, Verdict.DIFFERENT_VALUE: 40}, group), controls={"": 500})
    (summary,) = summarise(a_report(task)).tasks
    assert summary.noise_in_words(group).startswith("No noise")


def test_without_control_runs_nothing_is_said() -> None:
    group = a_group()
    (summary,) = summarise(a_report(a_task("t", {Verdict.DIFFERENT_VALUE: 12}, group))).tasks
    assert summary.noise_in_words(group) == ""
