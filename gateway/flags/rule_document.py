"""Targeting rules in the flags document, read and written. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dualrun.contracts import Mode
from gateway.core.document import DocumentNode
from gateway.core.flags import percent_of, share_of
from gateway.core.targeting import Condition, ConditionValue, Operator, Rule

__all__ = ["dump_rules", "parse_rules", "share_in"]

_Members = dict[str, object]
_RULE = ("name", "when", "mode", "events_percent", "shadow_percent")
_CONDITION = ("path", "operator", "value")


def parse_rules(node: DocumentNode) -> tuple[Rule, ...]:
    """The rules of one flag. Raises `DocumentFlaw` for what is no rule; whether it may be set the flag says."""
    return tuple(_rule(item) for item in node.sequence())


def dump_rules(rules: Sequence[Rule]) -> list[_Members]:
    """What `parse_rules` reads back; members with their default are left out."""
    return [_members(rule) for rule in rules]


def share_in(members: Mapping[str, DocumentNode], name: str) -> int:
    """The share a percentage of that name stands for, 0 where there is none. Raises `DocumentFlaw`."""
    if name not in members:
        return 0
    try:
        return share_of(members[name].number())
    except ValueError as exc:
        raise members[name].flaw(str(exc)) from exc


def _rule(node: DocumentNode) -> Rule:
    members = _complete(node, _RULE, ("name", "when", "mode"))
    return Rule(
        name=members["name"].text(),
        when=tuple(_condition(item) for item in members["when"].sequence()),
        mode=members["mode"].choice(Mode),
        events_share=share_in(members, "events_percent"),
        shadow_share=share_in(members, "shadow_percent"),
    )


def _condition(node: DocumentNode) -> Condition:
    members = _complete(node, _CONDITION, ("path", "operator"))
    value: ConditionValue = members["value"].scalars() if "value" in members else None
    return Condition(path=members["path"].text(), operator=members["operator"].choice(Operator), value=value)


def _complete(node: DocumentNode, known: Sequence[str], required: Sequence[str]) -> Mapping[str, DocumentNode]:
    members = node.mapping(known)
    for name in required:
        if name not in members:
            raise node.flaw(f"{name!r} is missing")
    return members


def _members(rule: Rule) -> _Members:
    members: _Members = {"name": rule.name, "when": [_condition_members(condition) for condition in rule.when], "mode": rule.mode.value}
    if rule.events_share:
        members["events_percent"] = percent_of(rule.events_share)
    if rule.shadow_share:
        members["shadow_percent"] = percent_of(rule.shadow_share)
    return members


def _condition_members(condition: Condition) -> _Members:
    members: _Members = {"path": condition.path, "operator": condition.operator.value}
    if condition.value is not None:
        members["value"] = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    return members
