"""The report as JSON, Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import JsonValue
from gateway.core.comparison import Aspect, DifferenceKind, Verdict
from gateway.core.report import ShadowReport
from gateway.report import render_csv, render_html, render_json, render_markdown
from tests.support.reports import a_group, a_report, a_task

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`|*_[x](http://e)\u202e"
COUNTS = {Verdict.EQUAL: 979, Verdict.DIFFERENT_EFFECT: 17, Verdict.DIFFERENT_VALUE: 4, Verdict.MISSING: 2}


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def a_report_of(text: str) -> ShadowReport:
    """A report with this text wherever it can hold one."""
    group = a_group(text, task=text, samples=((text, {text: [text]}), (None, text)))
    return a_report(a_task(text, COUNTS, group, a_group(text, task=text, ignored_by=text or "r")), a_task("other"))


FULL = a_report(
    a_task(
        "order.receipt",
        COUNTS,
        a_group("/value/price", count=4, samples=((19.9, 19.89),)),
        a_group(
            "/effects/email/to:*",
            aspect=Aspect.EFFECTS,
            kind=DifferenceKind.EFFECT_MISSING,
            count=17,
            samples=(({"to": "ann"}, None), ({"to": "bob"}, None)),
        ),
        a_group("/value/at", ignored_by="timing", count=11),
        pending=6,
    )
)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(), st.just(EVIL), st.from_regex(r"<[a-z/!]+[^>]*>?")))
def test_no_text_becomes_markup(text: str) -> None:
    tags = [tag for tag, _ in Page(render_html(a_report_of(text))).tags]
    assert tags == [tag for tag, _ in Page(render_html(a_report_of("plain"))).tags]


def test_hostile_text_is_shown_as_it_is_and_what_reorders_it_is_spelled_out() -> None:
    page = Page(render_html(a_report_of(EVIL)))
    assert EVIL.replace("\u202e", "\\u202e") in page.text
    assert "\u202e" not in page.text


def test_the_page_asks_for_nothing() -> None:
    html = render_html(FULL)
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form", "base"})
    assert all(not name.startswith("on") and name not in {"src", "srcset", "action"} for _, attributes in page.tags for name in attributes)
    assert all(str(attributes.get("href", "#")).startswith("#") for _, attributes in page.tags)
    assert "url(" not in html
    assert "@import" not in html


def test_the_page_says_the_verdict_before_anything_else() -> None:
    page = Page(render_html(FULL))
    text = page.text
    places = [
        text.index(part)
        for part in ("Of 1 task: 1 differs.", "Differs in 21 of 1,000", "does not cause an effect", "The shadow has another value")
    ]
    assert places == sorted(places)
    assert "mismatch ≤ 2.99 % (n = 1,000)" in text
    for part in ('"to": "ann"', '"to": "bob"', "nothing", "19.89", "hidden by rule timing", "1.42 s"):
        assert part in text


@pytest.mark.parametrize(
    "report", [a_report(), a_report(a_task()), a_report(a_task(pending=3)), FULL], ids=["none", "empty", "waits", "full"]
)
def test_every_report_can_be_rendered(report: ShadowReport) -> None:
    assert json.loads(render_json(report))["tone"] in {"no data", "differs"}
    assert render_markdown(report).startswith("# Shadow report\n\n**")
    assert "<!doctype html>" in render_html(report)
    assert render_csv(report).startswith("task,aspect,kind,path,count")


def test_json_has_every_verdict_and_the_samples_as_they_are() -> None:
    (task,) = json.loads(render_json(FULL))["tasks"]
    assert task["counts"] == {verdict.value: COUNTS.get(verdict, 0) for verdict in Verdict}
    assert (task["compared"], task["same"], task["different"], task["pending"]) == (1_000, 979, 21, 6)
    assert task["match_ratio"] == 0.979
    assert 0.0298 < task["mismatch_bound"] < 0.03
    assert [group["path"] for group in task["groups"]] == ["/effects/email/to:*", "/value/price", "/value/at"]
    assert task["groups"][0]["samples"][1] == {"submission_id": "s1", "flag_version": 0, "authority": {"to": "bob"}, "shadow": None}
    assert task["latency"]["shadow"] == {"count": 1_000, "p50_ms": 24.6, "p95_ms": 96.2, "p99_ms": 1_424.0}


@pytest.mark.parametrize("value", [2**70, "\x00", "x" * 100_000, [[[1]]], {"": None}], ids=["big", "nul", "long", "deep", "null"])
def test_strange_values_do_not_break_a_rendering(value: JsonValue) -> None:
    report = a_report(a_task("t", COUNTS, a_group(samples=((value, value),))))
    (sample,) = json.loads(render_json(report))["tasks"][0]["groups"][0]["samples"]
    assert sample["authority"] == value
    assert "\x00" not in render_markdown(report) + render_html(report)


def test_a_long_sample_is_cut_and_says_by_how_much() -> None:
    report = a_report(a_task("t", COUNTS, a_group(samples=(("x" * 10_000, 1),))))
    assert "... 8,002 more characters" in render_html(report)


def test_groups_beyond_what_a_page_shows_are_counted() -> None:
    report = a_report(a_task("t", COUNTS, *(a_group(f"/value/{n}") for n in range(130))))
    assert "30 more difference groups" in render_html(report)
    assert "80 more difference groups" in render_markdown(report)
    assert len(json.loads(render_json(report))["tasks"][0]["groups"]) == 130


@given(st.text())
def test_no_text_breaks_out_of_its_cell_in_markdown(text: str) -> None:
    def shape(report: ShadowReport) -> list[int]:
        lines = render_markdown(report).replace("\\|", "").splitlines()
        return [line.count("|") for line in lines if line.startswith("|")]

    assert shape(a_report_of(text)) == shape(a_report_of("plain"))


def test_a_spreadsheet_runs_no_cell() -> None:
    rows = list(csv.reader(io.StringIO(render_csv(a_report_of('=HYPERLINK("http://e")')))))
    assert rows[1][0] == '\'=HYPERLINK("http://e")'
    assert rows[1][4:6] == ["12", "1000"]
