"""What a report says first, and of whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.report import TaskReport
from gateway.report import render_html, render_markdown
from gateway.report.summary import Tone, summarise
from gateway.report.words import duration, percent, percent_at_most, visible
from tests.support.reports import a_group, a_report, a_task


@pytest.mark.parametrize(
    ("task", "tone", "headline"),
    [
        (a_task(), Tone.NO_DATA, "No data: nothing has been compared yet."),
        (a_task(pending=3), Tone.NO_DATA, "No data yet: every pair still waits for an outcome."),
        (a_task("t", {Verdict.EQUAL: 299}), Tone.SAME, "The same in all 299 compared submissions."),
        (a_task("t", {Verdict.IGNORED: 1}), Tone.UNPROVEN, "No difference in 1 compared submission: too few to call it the same."),
        (a_task("t", {Verdict.EQUAL: 298}), Tone.UNPROVEN, "No difference in 298 compared submissions: too few to call it the same."),
        (a_task("t", {Verdict.MISSING: 4}), Tone.INCOMPLETE, "Nothing could be compared. An outcome was missing or late in 4."),
        (
            a_task("t", {Verdict.EQUAL: 1_000, Verdict.LATE: 1}),
            Tone.INCOMPLETE,
            "The same in all 1,000 compared submissions. An outcome was missing or late in 1.",
        ),
        (
            a_task("t", {Verdict.EQUAL: 990, Verdict.DIFFERENT_VALUE: 7, Verdict.DIFFERENT_STATE: 3}),
            Tone.DIFFERS,
            "Differs in 10 of 1,000 compared submissions (1.00 %): another state in 3, another value in 7.",
        ),
        (
            a_task("t", {Verdict.LATE: 2}, a_group(count=2)),
            Tone.DIFFERS,
            "Differs in submissions whose outcome came too late. An outcome was missing or late in 2.",
        ),
    ],
)
def test_the_headline_is_the_verdict_in_words(task: TaskReport, tone: Tone, headline: str) -> None:
    (summary,) = summarise(a_report(task)).tasks
    assert (summary.tone, summary.headline) == (tone, headline)


def test_a_match_is_never_stated_without_what_it_proves_and_its_n() -> None:
    (five, nothing, none) = summarise(
        a_report(a_task("a", {Verdict.EQUAL: 995, Verdict.DIFFERENT_VALUE: 5}), a_task("b", {Verdict.EQUAL: 2_995}), a_task("c"))
    ).tasks
    assert (five.match, five.bound) == ("99.5 %", "mismatch <= 1.03 % (n = 1,000)")
    assert (none.match, none.bound) == ("100 %", "mismatch <= 0.100 % (n = 2,995)")
    assert (nothing.match, nothing.bound, nothing.mismatch_bound) == ("-", "nothing compared", 1.0)


def test_state_and_effects_stand_before_values_however_often_those_differ() -> None:
    groups = (
        a_group("/value/a", count=900),
        a_group("/error/kind", aspect=Aspect.ERROR, kind=DifferenceKind.ERROR, count=5),
        a_group("/effects/email", aspect=Aspect.EFFECTS, kind=DifferenceKind.EFFECT_MISSING, count=1),
        a_group("/effects/http", aspect=Aspect.EFFECTS, kind=DifferenceKind.EFFECT_EXTRA, count=2),
        a_group("/state", aspect=Aspect.STATE, kind=DifferenceKind.STATE, count=1),
        a_group("/value/b", count=901),
    )
    (task,) = summarise(a_report(a_task("t", {Verdict.DIFFERENT_VALUE: 901}, *groups))).tasks
    assert [group.path for group in task.groups] == ["/state", "/effects/http", "/effects/email", "/error/kind", "/value/b", "/value/a"]


def test_what_rules_hide_is_shown_apart() -> None:
    hidden, shown = a_group("/value/a", ignored_by="r1"), a_group("/value/b")
    (task,) = summarise(a_report(a_task("t", {Verdict.DIFFERENT_VALUE: 1}, hidden, shown))).tasks
    assert (task.groups, task.hidden) == ((shown,), (hidden,))


def test_the_worst_task_comes_first() -> None:
    tasks = (
        a_task("same", {Verdict.EQUAL: 1_000}),
        a_task("none"),
        a_task("few", {Verdict.EQUAL: 3}),
        a_task("gaps", {Verdict.MISSING: 1}),
        a_task("bad", {Verdict.EQUAL: 99, Verdict.DIFFERENT_VALUE: 1}),
        a_task("worse", {Verdict.EQUAL: 9, Verdict.DIFFERENT_VALUE: 1}),
    )
    summary = summarise(a_report(*tasks))
    assert [task.report.task for task in summary.tasks] == ["worse", "bad", "gaps", "few", "none", "same"]
    assert summary.headline == "Of 6 tasks: 2 differ, 1 lacks outcomes, 1 has too few comparisons, 1 has no data, 1 is the same."
    assert summary.tone is Tone.DIFFERS


def test_a_report_of_nothing_says_so() -> None:
    summary = summarise(a_report())
    assert (summary.tone, summary.headline) == (Tone.NO_DATA, "No data: no task has run with a shadow in this time.")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.5, "50.0 %"), (0.021, "2.10 %"), (0.0001, "0.010 %"), (0.99996, "99.996 %"), (0.9978, "99.7 %")],
)
def test_a_share_never_rounds_to_all_or_nothing(ratio: float, text: str) -> None:
    assert percent(ratio) == text


@pytest.mark.parametrize(("ratio", "text"), [(0.0101, "1.01 %"), (0.010101, "1.02 %"), (0.00075, "0.075 %"), (1.0, "100 %"), (0.0, "0 %")])
def test_a_bound_is_rounded_up(ratio: float, text: str) -> None:
    assert percent_at_most(ratio) == text


@pytest.mark.parametrize(
    ("elapsed_ms", "text"), [(None, "-"), (0.123, "0.123 ms"), (12.34, "12.3 ms"), (999.0, "999 ms"), (1_424.0, "1.42 s")]
)
def test_times_are_in_the_unit_that_suits_them(elapsed_ms: float | None, text: str) -> None:
    assert duration(elapsed_ms) == text


def test_text_that_hides_or_reorders_itself_is_spelled_out() -> None:
    assert visible("a\x00b\u202ec\u2066\nd\x1b[31m") == "a\\u0000b\\u202ec\\u2066\nd\\u001b[31m"


def test_what_could_not_be_compared_is_no_difference_that_came_late() -> None:
    task = a_task("t", {Verdict.EQUAL: 5, Verdict.INCOMPLETE: 1}, a_group("/state", kind=DifferenceKind.INCOMPLETE))
    assert summarise(a_report(task)).tasks[0].tone is Tone.INCOMPLETE


def test_a_report_says_that_shadows_ran_too_early_and_what_helps() -> None:
    told = summarise(a_report(replace(a_task("t", {Verdict.EQUAL: 5}), calls_unanswered=1))).tasks[0].answers_in_words
    assert "1 call of shadows was answered in place without the authority's answer" in told
    assert "shadow_delay_s" in told


def test_a_report_says_which_answers_shadows_went_without() -> None:
    task = a_task("t", {Verdict.EQUAL: 5})
    assert summarise(a_report(task)).tasks[0].answers_in_words == ""
    lacking = summarise(a_report(replace(task, calls_unknown=1_200, answers_dropped=1))).tasks[0]
    assert lacking.answers_in_words == "Of all time: shadows made 1,200 calls the authority never made; 1 answer was not kept for them."
    assert "1,200 calls" in render_markdown(a_report(lacking.report))
    assert "1,200 calls" in render_html(a_report(lacking.report))
