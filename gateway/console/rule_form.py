"""A comparison rule as a form has it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum

from gateway.comparison import IgnoreRule, Rule, ToleranceRule, UnorderedRule
from gateway.core.comparison import DifferenceKind
from gateway.core.report import DifferenceGroup

__all__ = ["RuleKind", "rule_form_of", "rule_of"]

_EXPIRES_AFTER = timedelta(days=90)
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


class RuleKind(StrEnum):
    """What a rule made here may do."""

    IGNORE = "ignore"
    TOLERANCE = "tolerance"
    UNORDERED = "unordered"


def rule_form_of(group: DifferenceGroup, today: date) -> Mapping[str, str]:
    """The form before anybody touched it: narrow, and for a while."""
    slug = re.sub(r"[^a-z0-9]+", "-", group.path.lower()).strip("-")[:60] or "rule"
    kind = RuleKind.UNORDERED if group.kind is DifferenceKind.ORDER else RuleKind.IGNORE
    return {
        "kind": kind,
        "id": f"{slug}-{group.fingerprint[:6]}",
        "path": group.path,
        "owner": "",
        "reason": "",
        "expires": (today + _EXPIRES_AFTER).isoformat(),
        "tolerance": "",
    }


def rule_of(form: Mapping[str, str], today: date) -> tuple[Rule | None, Mapping[str, str]]:
    """The rule, or by field what would be right."""
    errors: dict[str, str] = {}
    kind = form.get("kind", "")
    if kind not in list(RuleKind):
        errors["kind"] = f"should be one of {', '.join(RuleKind)}"
    if _ID.fullmatch(form.get("id", "")) is None:
        errors["id"] = "letters, digits, - _ and . only"
    if not form.get("path", "").startswith("/"):
        errors["path"] = "should be a path like /value/items/[*]/price"
    elif form["path"].strip("/") in ("", "*", "**"):
        errors["path"] = "would hide everything: name what may differ"
    errors |= {name: words for name, words in _PEOPLE.items() if not form.get(name)}
    expires = _day(form.get("expires", ""), today, errors)
    tolerance = _tolerance(form.get("tolerance", ""), errors) if kind == RuleKind.TOLERANCE else 0.0
    if errors:
        return None, errors
    id_, path, owner, reason = form["id"], form["path"], form["owner"], form["reason"]
    match RuleKind(kind):
        case RuleKind.IGNORE:
            return IgnoreRule(id=id_, path=path, owner=owner, reason=reason, expires=expires), {}
        case RuleKind.UNORDERED:
            return UnorderedRule(id=id_, path=path, owner=owner, reason=reason, expires=expires), {}
        case RuleKind.TOLERANCE:
            return ToleranceRule(id=id_, path=path, owner=owner, reason=reason, expires=expires, absolute=tolerance), {}


_PEOPLE = {"owner": "who answers for it?", "reason": "why may the sides differ here?"}


def _day(text: str, today: date, errors: dict[str, str]) -> date | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        errors["expires"] = "should be a day like 2027-01-31"
        return None
    if day < today:
        errors["expires"] = "lies in the past: it would hide nothing"
    return day


def _tolerance(text: str, errors: dict[str, str]) -> float:
    try:
        tolerance = float(text)
    except ValueError:
        tolerance = 0.0
    if not 0 < tolerance < float("inf"):
        errors["tolerance"] = "should be a number above 0, such as 0.01"
    return tolerance
