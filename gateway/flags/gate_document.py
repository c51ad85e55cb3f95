"""A flag's gate in a flags file: `gate: {steps: [shadow 5 %, ...], soak_s: 3600, ...}`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.core.document import DocumentFlaw, DocumentNode
from gateway.core.errors import FlagRejected
from gateway.core.gate_settings import Gate, OnFailure, OnNothing
from gateway.core.step import Step, parse_step

__all__ = ["gate_members", "read_gate"]

_NUMBERS = ("soak_s", "mismatch_percent", "error_points", "latency_ratio", "missing_percent")
_COUNTS = ("min_samples", "dead_letters")
_SWITCHES = ("auto_promote", "dry_run")
_UNDECIDED = ("on_no_data", "on_inconclusive")
_MEMBERS = ("steps", *_NUMBERS, *_COUNTS, "on_failure", *_UNDECIDED, *_SWITCHES)
_Value = str | float | int | bool | Sequence[str]


def read_gate(node: DocumentNode) -> Gate:
    """The gate a node holds; what is left out has its default. Raises `DocumentFlaw`."""
    members = node.mapping(_MEMBERS)
    for name in _UNDECIDED:
        if name in members:
            members[name].choice(OnNothing)
    given: dict[str, Any] = {name: members[name].number() for name in _NUMBERS if name in members}
    given |= {name: members[name].integer() for name in _COUNTS if name in members}
    given |= {name: members[name].boolean() for name in _SWITCHES if name in members}
    if "steps" in members:
        given["steps"] = _steps(members["steps"])
    if "on_failure" in members:
        given["on_failure"] = members["on_failure"].choice(OnFailure)
    gate = Gate(**given)
    try:
        gate.check()
    except FlagRejected as exc:
        raise _flaw_at(exc, members, node) from exc
    return gate


def gate_members(gate: Gate) -> Mapping[str, _Value]:
    """What `read_gate` reads back as this gate: steps, and members that differ from their default."""
    usual = Gate()
    members: dict[str, _Value] = {"steps": [str(step) for step in gate.steps]}
    for name in (*_NUMBERS, *_COUNTS, *_SWITCHES):
        if getattr(gate, name) != getattr(usual, name):
            members[name] = getattr(gate, name)
    if gate.on_failure is not usual.on_failure:
        members["on_failure"] = gate.on_failure.value
    return members


def _steps(node: DocumentNode) -> tuple[Step, ...]:
    steps = []
    for item in node.sequence():
        try:
            steps.append(parse_step(item.text()))
        except ValueError as exc:
            raise item.flaw(str(exc)) from exc
    return tuple(steps)


def _flaw_at(error: FlagRejected, members: Mapping[str, DocumentNode], node: DocumentNode) -> DocumentFlaw:
    """The first thing wrong, where it stands: `/gate/steps/2` is the third item of `steps`."""
    first = error.errors[0]
    _, _, name, *position = first.pointer.split("/")
    at = members.get(name, node)
    if position and name in members:
        at = members[name].sequence()[int(position[0])]
    return at.flaw(f"{name} {first.detail}" if not position else first.detail)
