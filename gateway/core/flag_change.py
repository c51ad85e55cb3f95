"""What is different between two sets of flags, for people to read. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from gateway.core.flags import Flag, percent_of
from gateway.core.gate_settings import Gate

__all__ = ["ChangeKind", "FlagChange", "MemberChange", "changes_between"]

_Value = str | float | int | bool | None


class ChangeKind(StrEnum):
    """What happened to the flag of one task."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChange:
    """One member, named as in documents; None where the flag was not, or is no longer, there."""

    member: str
    before: _Value
    after: _Value


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagChange:
    """One flag. A new or removed one names its mode and what differs from the defaults."""

    task: str
    kind: ChangeKind
    members: tuple[MemberChange, ...]


def changes_between(before: Mapping[str, Flag], after: Mapping[str, Flag]) -> tuple[FlagChange, ...]:
    """The flags that differ, by name; empty where nothing does."""
    names = sorted(before.keys() | after.keys())
    return tuple(_change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name))


def _change(task: str, before: Flag | None, after: Flag | None) -> FlagChange:
    old, new = _members(before), _members(after)
    if before is not None and after is not None:
        kind, names = ChangeKind.CHANGED, [name for name in {**old, **new} if old.get(name) != new.get(name)]
    else:
        kind = ChangeKind.ADDED if before is None else ChangeKind.REMOVED
        there, default = _members(after or before), _members(Flag(task=task))
        names = [name for name, value in there.items() if name == "mode" or value != default.get(name)]
    members = tuple(MemberChange(member=name, before=old.get(name), after=new.get(name)) for name in names)
    return FlagChange(task=task, kind=kind, members=members)


def _members(flag: Flag | None) -> Mapping[str, _Value]:
    if flag is None:
        return {}
    return {
        "mode": flag.mode.value,
        "events_percent": percent_of(flag.events_share),
        "shadow_percent": percent_of(flag.shadow_share),
        "control_percent": percent_of(flag.control_share),
        "safety": flag.safety.value,
        "salt": flag.salt,
        "hash_version": flag.hash_version,
        "held": flag.held,
        "on_worker_loss": flag.on_worker_loss.value,
        **_gate_members(flag.gate),
        "cohort_path": flag.cohort_path,
        "shadow_delay_s": flag.shadow_delay_s,
        # The first that holds decides: another order is a change too.
        "rules": ", ".join(rule.name for rule in flag.rules),
        **{f"rules/{rule.name}": str(rule) for rule in flag.rules},
    }


def _gate_members(gate: Gate | None) -> Mapping[str, _Value]:
    """Each member by itself. A new gate then differs from none in its steps, and in what is not as usual."""
    given = gate or Gate()
    names = (member.name for member in fields(Gate) if member.name != "steps")
    return {"gate": None if gate is None else ", ".join(map(str, gate.steps)), **{f"gate.{name}": getattr(given, name) for name in names}}
