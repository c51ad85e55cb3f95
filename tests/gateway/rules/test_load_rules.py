"""Rules from files: read, merged with the default, refused with the place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from gateway.comparison import IgnoreRule, RedactionRules, RuleBook, SynonymRule, TaskRules, ToleranceRule, UnorderedRule
from gateway.core.errors import RulesRejected
from gateway.rules import load_rules

ROOT = Path(__file__).parents[3]
FULL = """
ignore:
  - {id: clock, path: /value/at, owner: shop, reason: own clock, expires: 2027-01-31}
tolerance:
  - {id: cents, path: /value/total, owner: shop, reason: rounding, absolute: 0.01, relative: 1e-6}
unordered:
  - {id: ties, path: "/value/items", owner: shop, reason: ties}
errors:
  - {id: httpx, legacy: HTTPError, events: HTTPStatusError, owner: shop, reason: client}
error_messages: true
"""
DEFAULT = (
    "ignore:\n  - {id: trace, path: /**/trace_id, owner: platform, reason: per run}\nerrors: {Timeout: TimeoutException, HTTPError: X}\n"
)


def test_every_section_is_read(tmp_path: Path) -> None:
    (tmp_path / "order.pay.yaml").write_text(FULL)
    assert load_rules(tmp_path).for_task("order.pay") == TaskRules(
        ignore=(IgnoreRule(id="clock", path="/value/at", owner="shop", reason="own clock", expires=date(2027, 1, 31)),),
        tolerance=(ToleranceRule(id="cents", path="/value/total", owner="shop", reason="rounding", absolute=0.01, relative=1e-6),),
        unordered=(UnorderedRule(id="ties", path="/value/items", owner="shop", reason="ties"),),
        errors=(SynonymRule(id="httpx", path="/error", owner="shop", reason="client", legacy="HTTPError", events="HTTPStatusError"),),
        error_messages=True,
    )


def test_what_is_redacted_is_read(tmp_path: Path) -> None:
    (tmp_path / "order.pay.yaml").write_text("redact: {paths: [/value/iban], names: [ssn], patterns: [card], values: true}\n")
    wanted = RedactionRules(paths=("/value/iban",), names=("ssn",), patterns=("card",), values=True)
    assert load_rules(tmp_path).for_task("order.pay").redaction == wanted


def test_the_default_holds_for_every_task_after_its_own_rules(tmp_path: Path) -> None:
    (tmp_path / "order.pay.yaml").write_text(FULL)
    (tmp_path / "_default.yaml").write_text(DEFAULT)
    book = load_rules(tmp_path)
    assert [rule.id for rule in book.for_task("order.pay").ignore] == ["clock", "trace"]
    errors = {rule.legacy: rule.events for rule in book.for_task("order.pay").errors}
    assert errors == {"HTTPError": "HTTPStatusError", "Timeout": "TimeoutException"}
    assert [rule.id for rule in book.for_task("unheard.of").ignore] == ["trace"]


def test_a_bare_table_of_before_is_read_and_belongs_to_nobody(tmp_path: Path) -> None:
    (tmp_path / "order.pay.yaml").write_text("errors: {HTTPError: HTTPStatusError}\nstates: {rejected: failed}\n")
    rules = load_rules(tmp_path).for_task("order.pay")
    assert [(rule.id, rule.legacy, rule.events) for rule in (*rules.states, *rules.errors)] == [
        ("state-rejected", "rejected", "failed"),
        ("error-HTTPError", "HTTPError", "HTTPStatusError"),
    ]
    assert {(rule.owner, "list it as {id" in rule.reason) for rule in (*rules.states, *rules.errors)} == {("nobody", True)}


def test_an_empty_directory_is_no_rules(tmp_path: Path) -> None:
    assert load_rules(tmp_path) == RuleBook()


def test_the_version_tells_contents_apart_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FULL)
    first = load_rules(tmp_path).version
    assert load_rules(tmp_path).version == first != ""
    (tmp_path / "a.yaml").write_text(FULL + "\n# why\n")
    second = load_rules(tmp_path).version
    (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
    assert len({first, second, load_rules(tmp_path).version}) == 3


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("ignore:\n  - {id: a, path: /value, owner: me}\n", 2, "missing: reason"),
        ("ignore:\n  - {id: a, path: /value, reason: r}\n", 2, "missing: owner"),
        ("ignore:\n  - {path: /value, owner: me, reason: r}\n", 2, "missing: id"),
        ("ignore:\n  - {id: a, path: value, owner: me, reason: r}\n", 2, "should be a path"),
        ("ignore:\n  - {id: a, path: /value, owner: me, reason: ''}\n", 2, "should be a text"),
        ("ignore:\n  - {id: a, path: /value, owner: me, reason: r, expire: 2027-01-01}\n", 2, "did you mean 'expires'?"),
        ("ignore:\n  - {id: a, path: /value, owner: me, reason: r, expires: soon}\n", 2, "should be a date"),
        ("ignore:\n  - {id: a, path: /v, owner: o, reason: r}\n  - {id: a, path: /w, owner: o, reason: r}\n", 3, "has the id 'a'"),
        ("tolerance:\n  - {id: a, path: /value, owner: me, reason: r}\n", 2, "needs absolute or relative"),
        ("tolerance:\n  - {id: a, path: /value, owner: me, reason: r, absolute: -1}\n", 2, "above 0"),
        ("tolerance:\n  - {id: a, path: /value, owner: me, reason: r, absolute: much}\n", 2, "should be a number"),
        ("ignored: []\n", 1, "did you mean 'ignore'?"),
        ("ignore: {}\n", 1, "should be a list"),
        ("errors: [A]\n", 1, "should be a mapping"),
        ("errors: A\n", 1, "should be a list"),
        ("errors:\n  - {id: a, legacy: A, events: B}\n", 2, "missing: owner, reason"),
        ("states: {failed: succeeded}\n", 1, "never mean the same"),
        ("states:\n  - {id: a, legacy: succeeded, events: dead_lettered, owner: o, reason: r}\n", 2, "never mean the same"),
        ("states: {failed: gone}\n", 1, "'gone' is no state"),
        ("errors: {A: 1}\n", 1, "should be a text"),
        ("error_messages: maybe\n", 1, "should be true or false"),
        ("ignore: [\n", 2, "is not YAML"),
        ("", 1, "is empty"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_with_file_line_and_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    (tmp_path / "good.yaml").write_text(FULL)
    (tmp_path / "order.pay.yaml").write_text(text)
    with pytest.raises(RulesRejected) as caught:
        load_rules(tmp_path)
    assert caught.value.file == str(tmp_path / "order.pay.yaml")
    assert caught.value.line == line
    assert reason in caught.value.reason


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(RulesRejected, match="is not UTF-8"):
        load_rules(tmp_path)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RulesRejected, match="is not a directory"):
        load_rules(tmp_path / "nowhere")


def test_the_shipped_rules_can_be_read() -> None:
    assert load_rules(ROOT / "config" / "rules").for_task("reports.daily_report").unordered
