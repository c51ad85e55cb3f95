"""One file of rules, from its text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import TypedDict

from dualrun.contracts import State
from gateway.comparison import IgnoreRule, OrderedRule, RedactionRules, SynonymRule, TaskRules, ToleranceRule, UnorderedRule
from gateway.comparison.redaction import PATTERNS
from gateway.core.document import DocumentFlaw, DocumentNode, read_document
from gateway.core.errors import RulesRejected

__all__ = ["parse_rules"]

_SECTIONS = ("ignore", "tolerance", "unordered", "ordered", "states", "redact", "errors", "error_messages")
_COMMON = ("id", "path", "owner", "reason")
_RULE = (*_COMMON, "expires")
_SYNONYM = ("id", "legacy", "events", "owner", "reason", "expires")
_NO_FAILURE = {State.SUCCEEDED.value, State.IGNORED.value}
_UNOWNED = "said by a bare table: list it as {id, legacy, events, owner, reason}"
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
        states=tuple(_state_synonyms(sections["states"], taken)) if "states" in sections else (),
        redaction=_redaction(sections["redact"]) if "redact" in sections else RedactionRules(),
        errors=tuple(rule for rule, _ in _synonyms(sections["errors"], "/error", taken)) if "errors" in sections else (),
        error_messages="error_messages" in sections and sections["error_messages"].boolean(),
    )


def _state_synonyms(node: DocumentNode, taken: set[str]) -> Iterator[SynonymRule]:
    known = [state.value for state in State]
    for rule, at in _synonyms(node, "/state", taken):
        for state in (rule.legacy, rule.events):
            if state not in known:
                raise at.flaw(f"{state!r} is no state; states are {', '.join(known)}")
        if State.SUCCEEDED in (rule.legacy, rule.events) and not {rule.legacy, rule.events} <= _NO_FAILURE:
            raise at.flaw(f"{rule.legacy!r} and {rule.events!r} never mean the same: one is a success, the other is none")
        yield rule


def _synonyms(node: DocumentNode, path: str, taken: set[str]) -> Iterator[tuple[SynonymRule, DocumentNode]]:
    """The rules of the section, each with its place. As a bare table it says neither who answers for it nor why: then nobody does."""
    if node.is_mapping:
        for legacy, events in node.mapping().items():
            id_ = f"{path.strip('/')}-{legacy}"
            taken.add(id_)
            yield SynonymRule(id=id_, path=path, owner="nobody", reason=_UNOWNED, legacy=legacy, events=events.text()), events
        return
    for item in node.sequence():
        members = item.mapping(_SYNONYM)
        missing = [name for name in _SYNONYM if name not in members and name != "expires"]
        if missing:
            raise item.flaw(f"a rule needs {', '.join(_SYNONYM[:-1])}; missing: {', '.join(missing)}")
        rule = SynonymRule(
            id=_fresh_id(members["id"], taken),
            path=path,
            owner=members["owner"].text(),
            reason=members["reason"].text(),
            expires=members["expires"].day() if "expires" in members else None,
            legacy=members["legacy"].text(),
            events=members["events"].text(),
        )
        yield rule, item


def _fresh_id(node: DocumentNode, taken: set[str]) -> str:
    if node.text() in taken:
        raise node.flaw(f"another rule has the id {node.text()!r}")
    taken.add(node.text())
    return node.text()


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
    rule_id = _fresh_id(members["id"], taken)
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
