"""Flags as HTTP bodies ask for them, and the way to the core's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from dualrun.contracts import Mode, Safety
from gateway.api.gate_members import GateMembers, gate_from
from gateway.core.errors import FieldError, FlagRejected
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import HASH_VERSION, SHADOW_DELAY_MAX_S, Flag, FlagSnapshot, share_of
from gateway.core.gate_settings import Gate, OnWorkerLoss
from gateway.core.targeting import Condition, Rule

__all__ = ["ChangeMade", "EvidenceSeen", "FlagBody", "FlagMembers", "FlagsBody", "RuleMembers", "evidence_of", "flag_of", "flags_of"]

_Percent = Annotated[float, msgspec.Meta(ge=0, le=100, description="0 to 100 in steps of 0.001.")]
_TaskOrGlob = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:*?\[\]\-]{1,200}$", description="Task name, or a glob of them.")]
_CohortPath = Annotated[
    str, msgspec.Meta(description="What cohorts are dealt by: kwargs.user_id, args[0], headers.x-tenant; empty: the id.")
]
_ShadowDelay = Annotated[int, msgspec.Meta(ge=0, le=SHADOW_DELAY_MAX_S, description="Seconds a shadow starts later than it could.")]
_Force = Annotated[bool, msgspec.Meta(description="Go forward past a gate without evidence; `reason` is then required.")]
_Held = Annotated[bool, msgspec.Meta(description="Nobody takes the next step until it is released; left out: as it is.")]
_Author = Annotated[str, msgspec.Meta(max_length=200)]
_Reason = Annotated[str, msgspec.Meta(max_length=1000)]
_Source = Annotated[Literal["api", "cli", "console"], msgspec.Meta(description="What the change was made through.")]


class EvidenceSeen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person looked at before the change: kept with the version."""

    report: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="A report's address, or a gate verdict's id.")]
    n: Annotated[int, msgspec.Meta(ge=0, le=10**15, description="Comparisons it rests on.")] | None = None
    mismatches: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | None = None
    mismatch_at_most_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None


class ChangeMade(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who changes something, why, and through what: kept with the version."""

    author: _Author = "api"
    reason: _Reason = ""
    source: _Source = "api"
    evidence: EvidenceSeen | None = None


class RuleMembers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Mode and shares for the submissions of which every condition holds; the first such rule of a flag counts."""

    name: str
    when: tuple[Condition, ...]
    mode: Mode
    events_percent: _Percent = 0
    shadow_percent: _Percent = 0


class FlagMembers(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag. A member left out has its default; but gate, hold and safety class stay, and null takes the first two away."""

    mode: Mode
    events_percent: _Percent = 0
    shadow_percent: _Percent = 0
    control_percent: _Percent = 0
    safety: Annotated[Safety, msgspec.Meta(description="Left out: as declared before, else unsafe.")] | msgspec.UnsetType = msgspec.UNSET
    salt: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")] = ""
    hash_version: int = HASH_VERSION
    # What guards a task must not go because somebody wrote a body without it; and its gate may rest on its safety class.
    gate: Annotated[GateMembers | None, msgspec.Meta(description="Left out: as it is; null: none.")] | msgspec.UnsetType = msgspec.UNSET
    held: _Held | None | msgspec.UnsetType = msgspec.UNSET
    on_worker_loss: OnWorkerLoss = OnWorkerLoss.ALERT
    cohort_path: _CohortPath = ""
    shadow_delay_s: _ShadowDelay = 0
    rules: tuple[RuleMembers, ...] = ()


class FlagBody(FlagMembers, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole flag. A member left out has its default; but gate, hold and safety class stay, and null takes the first two away."""

    # As `ChangeMade`: a struct cannot have two bases with members.
    author: _Author = "api"
    reason: _Reason = ""
    source: _Source = "api"
    evidence: EvidenceSeen | None = None
    force: _Force = False


class FlagsBody(ChangeMade, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All the flags there shall be."""

    flags: dict[_TaskOrGlob, FlagMembers]
    force: _Force = False


def evidence_of(seen: EvidenceSeen | None) -> FlagEvidence | None:
    """What a body says was looked at."""
    if seen is None:
        return None
    return FlagEvidence(report=seen.report, n=seen.n, mismatches=seen.mismatches, mismatch_at_most_percent=seen.mismatch_at_most_percent)


def flag_of(task: str, members: FlagMembers, present: Flag | None, at: str = "") -> Flag:
    """The flag a body asks for, where `present` is in force; `at` is where in the body it stands.

    Raises `FlagRejected` for a percentage finer than 0.001, and for a step that is none.
    """
    kept = present or Flag(task=task)
    return Flag(
        task=task,
        mode=members.mode,
        events_share=_share(f"{at}/events_percent", members.events_percent),
        shadow_share=_share(f"{at}/shadow_percent", members.shadow_percent),
        control_share=_share(f"{at}/control_percent", members.control_percent),
        safety=kept.safety if members.safety is msgspec.UNSET else members.safety,
        salt=members.salt,
        hash_version=members.hash_version,
        gate=kept.gate if members.gate is msgspec.UNSET else _gate(members.gate, f"{at}/gate"),
        held=kept.held if members.held is msgspec.UNSET else bool(members.held),
        on_worker_loss=members.on_worker_loss,
        cohort_path=members.cohort_path,
        shadow_delay_s=members.shadow_delay_s,
        rules=tuple(_rule(f"{at}/rules/{index}", rule) for index, rule in enumerate(members.rules)),
    )


def flags_of(members: Mapping[str, FlagMembers], present: FlagSnapshot) -> Mapping[str, Flag]:
    """As `flag_of` for each, in a body's member `flags`."""
    return {task: flag_of(task, wanted, present.flag_for(task), f"/flags/{task}") for task, wanted in members.items()}


def _gate(members: GateMembers | None, at: str) -> Gate | None:
    return None if members is None else gate_from(members, at)


def _rule(at: str, members: RuleMembers) -> Rule:
    return Rule(
        name=members.name,
        when=members.when,
        mode=members.mode,
        events_share=_share(f"{at}/events_percent", members.events_percent),
        shadow_share=_share(f"{at}/shadow_percent", members.shadow_percent),
    )


def _share(pointer: str, percent: float) -> int:
    try:
        return share_of(percent)
    except ValueError as exc:
        raise FlagRejected(f"{pointer}: {exc}", [FieldError(pointer, "0 to 100 in steps of 0.001")]) from exc
