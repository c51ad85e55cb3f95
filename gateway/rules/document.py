"""One file of rules, from its text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TypedDict

from gateway.comparison import IgnoreRule, TaskRules, ToleranceRule, UnorderedRule
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.errors import RulesRejected

__all__ = ["parse_rules"]

_SECTIONS = ("ignore", "tolerance", "unordered", "errors", "error_messages")
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
        errors={legacy: events.text() for legacy, events in sections["errors"].mapping().items()} if "errors" in sections else {},
        error_messages="error_messages" in sections and sections["error_messages"].boolean(),
    )


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
