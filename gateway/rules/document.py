"""One file of rules, from its text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TypedDict

from dualrun.contracts import State
from gateway.comparison import IgnoreRule, OrderedRule, RedactionRules, TaskRules, ToleranceRule, UnorderedRule
from gateway.comparison.redaction import PATTERNS
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.errors import RulesRejected

__all__ = ["parse_rules"]

_SECTIONS = ("ignore", "tolerance", "unordered", "ordered", "states", "redact", "errors", "error_messages")
_COMMON = ("id", "path", "owner", "reason")
_RULE = (*_COMMON, "expires")
_TOLERANCE = (*_RULE, "absolute", "relative")


def parse_rules(text: str, file: str) -> TaskRules:
    """The rules a file holds; `file` is for the message. Raises `RulesRejected`."""
    try:
        return _rules(read_document(text))
    except DocumentFlaw as flaw:
        raise RulesRejected(file, flaw.line, flaw.column, flaw.reason, flaw.pointer) from flaw


def _rules(document: DocumentNode) -> TaskRules:
    sections = document.mapping(_SECTIONS)
    taken: set[str] = set()
    return TaskRules(
        ignore=tuple(IgnoreRule(**_common(node, _RULE, taken)) for node in _listed(sections, "ignore")),
        tolerance=tuple(_tolerance(node, taken) for node in _listed(sections, "tolerance")),
        unordered=tuple(UnorderedRule(**_common(node, _RULE, taken)) for node in _listed(sections, "unordered")),
        ordered=tuple(OrderedRule(**_common(node, _RULE, taken)) for node in _listed(sections, "ordered")),
        states=_states(sections["states"]) if "states" in sections else {},
        redaction=_redaction(sections["redact"]) if "redact" in sections else RedactionRules(),
        errors={legacy: events.text() for legacy, events in sections["errors"].mapping().items()} if "errors" in sections else {},
        error_messages="error_messages" in sections and sections["error_messages"].boolean(),
    )


def _states(node: DocumentNode) -> dict[str, str]:
    known = [state.value for state in State]
    mapped: dict[str, str] = {}
    for legacy, events in node.mapping().items():
        if legacy not in known:
            raise node.flaw(f"{legacy!r} is no state; states are {', '.join(known)}")
        if events.text() not in known:
            raise events.flaw(f"{events.text()!r} is no state; states are {', '.join(known)}")
        mapped[legacy] = events.text()
    return mapped


def _redaction(node: DocumentNode) -> RedactionRules:
    members = node.mapping(("paths", "names", "patterns", "values"))
    values = "values" in members and members["values"].boolean()
    given = {name: [item.text() for item in members[name].sequence()] for name in members if name != "values"}
    for name, path in (("paths", path) for path in given.get("paths", ())):
        if not path.startswith("/"):
            raise members[name].flaw(f"should be paths like /value/customer/iban, one is {path!r}")
    unknown = [pattern for pattern in given.get("patterns", ()) if pattern not in PATTERNS]
    if unknown:
        raise members["patterns"].flaw(f"{unknown[0]!r} is no pattern; patterns are {', '.join(PATTERNS)}")
    texts = {name: tuple(given.get(name, ())) for name in ("paths", "names", "patterns")}
    return RedactionRules(paths=texts["paths"], names=texts["names"], patterns=texts["patterns"], values=values)


def _listed(sections: Mapping[str, DocumentNode], name: str) -> list[DocumentNode]:
    return list(sections[name].sequence()) if name in sections else []


class _Common(TypedDict):
    id: str
    path: str
    owner: str
    reason: str
    expires: date | None


def _common(node: DocumentNode, known: tuple[str, ...], taken: set[str]) -> _Common:
    members = node.mapping(known)
    missing = [name for name in _COMMON if name not in members]
    if missing:
        raise node.flaw(f"a rule needs {', '.join(_COMMON)}; missing: {', '.join(missing)}")
    rule_id = members["id"].text()
    if rule_id in taken:
        raise members["id"].flaw(f"another rule has the id {rule_id!r}")
    taken.add(rule_id)
    path = members["path"].text()
    if not path.startswith("/"):
        raise members["path"].flaw(f"should be a path like /value/items/[*]/price, is {path!r}")
    return _Common(
        id=rule_id,
        path=path,
        owner=members["owner"].text(),
        reason=members["reason"].text(),
        expires=members["expires"].day() if "expires" in members else None,
    )


def _tolerance(node: DocumentNode, taken: set[str]) -> ToleranceRule:
    common = _common(node, _TOLERANCE, taken)
    members = node.mapping(_TOLERANCE)
    sizes = {name: members[name].number() for name in ("absolute", "relative") if name in members}
    if not any(sizes.values()) or min(sizes.values()) < 0:
        raise node.flaw("a tolerance needs absolute or relative, above 0")
    return ToleranceRule(**common, absolute=sizes.get("absolute", 0.0), relative=sizes.get("relative", 0.0))
