"""A rule as a form has it."""

from __future__ import annotations

from datetime import date

import pytest

from gateway.comparison import IgnoreRule, ToleranceRule, UnorderedRule
from gateway.console.rule_form import rule_form_of, rule_of
from gateway.core.comparison import Aspect, DifferenceKind
from gateway.core.report import DifferenceGroup
from tests.support.records import NOON

TODAY = date(2026, 5, 4)
PEOPLE = {"owner": "shop", "reason": "rounds later"}


def a_group(kind: DifferenceKind = DifferenceKind.VALUE) -> DifferenceGroup:
    return DifferenceGroup(
        fingerprint="0123456789",
        task="t",
        aspect=Aspect.VALUE,
        kind=kind,
        path="/value/items/[*]/price",
        count=1,
        first_seen=NOON,
        last_seen=NOON,
    )


def test_the_form_begins_narrow_and_for_a_while() -> None:
    rule, errors = rule_of({**rule_form_of(a_group(), TODAY), **PEOPLE}, TODAY)
    assert errors == {}
    assert rule == IgnoreRule(id="value-items-price-012345", path="/value/items/[*]/price", **PEOPLE, expires=date(2026, 8, 2))


def test_of_an_order_it_asks_for_no_order() -> None:
    rule, _ = rule_of({**rule_form_of(a_group(DifferenceKind.ORDER), TODAY), **PEOPLE, "expires": ""}, TODAY)
    assert isinstance(rule, UnorderedRule)
    assert rule.expires is None


def test_a_tolerance_has_its_number() -> None:
    rule, _ = rule_of({**rule_form_of(a_group(), TODAY), **PEOPLE, "kind": "tolerance", "tolerance": "0.01"}, TODAY)
    assert isinstance(rule, ToleranceRule)
    assert rule.absolute == 0.01


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("owner", ""),
        ("reason", ""),
        ("path", "value"),
        ("path", "/**"),
        ("id", "a b"),
        ("id", "-x: y"),
        ("expires", "soon"),
        ("expires", "2026-05-03"),
        ("kind", "drop"),
        ("tolerance", "-1"),
        ("tolerance", "nan"),
        ("tolerance", "inf"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(field: str, text: str) -> None:
    kind = {"kind": "tolerance"} if field == "tolerance" else {}
    rule, errors = rule_of({**rule_form_of(a_group(), TODAY), **PEOPLE, **kind, field: text}, TODAY)
    assert rule is None
    assert list(errors) == [field]
