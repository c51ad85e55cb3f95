"""A flag's gate as HTTP bodies hold it, and the way from and to the core's."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import msgspec

from gateway.core.errors import FieldError, FlagRejected
from gateway.core.gate_settings import Gate, OnFailure, OnNothing
from gateway.core.step import parse_step

__all__ = ["GateMembers", "gate_from", "members_of"]

_USUAL = Gate()
_Step = Annotated[str, msgspec.Meta(max_length=40, description="`shadow 5 %`, `canary 1 %`, `mirror 100 %` or `events`.")]


class GateMembers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What has to be proven before the next step; a member left out has its default."""

    steps: Annotated[tuple[_Step, ...], msgspec.Meta(min_length=1, max_length=20)] = tuple(map(str, _USUAL.steps))
    soak_s: Annotated[float, msgspec.Meta(description="The least time in each step, in seconds.")] = _USUAL.soak_s
    min_samples: int = _USUAL.min_samples
    mismatch_percent: float = _USUAL.mismatch_percent
    error_points: float = _USUAL.error_points
    latency_ratio: float = _USUAL.latency_ratio
    missing_percent: float = _USUAL.missing_percent
    dead_letters: int | None = _USUAL.dead_letters
    on_failure: OnFailure = _USUAL.on_failure
    on_no_data: OnNothing = OnNothing.HOLD
    on_inconclusive: OnNothing = OnNothing.HOLD
    auto_promote: bool = _USUAL.auto_promote
    dry_run: bool = _USUAL.dry_run


_KEPT = tuple(member.name for member in fields(Gate) if member.name != "steps")


def gate_from(members: GateMembers, at: str) -> Gate:
    """The gate a body asks for; `at` is where in the body it stands. Raises `FlagRejected` for a step that is none."""
    steps = []
    for position, text in enumerate(members.steps):
        try:
            steps.append(parse_step(text))
        except ValueError as exc:
            raise FlagRejected(f"{at}/steps/{position}: {exc}", [FieldError(f"{at}/steps/{position}", str(exc))]) from exc
    return Gate(steps=tuple(steps), **{name: getattr(members, name) for name in _KEPT})


def members_of(gate: Gate) -> GateMembers:
    """A gate as a body holds it."""
    return GateMembers(steps=tuple(map(str, gate.steps)), **{name: getattr(gate, name) for name in _KEPT})
