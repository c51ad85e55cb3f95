"""Flags and their versions as HTTP answers show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dualrun.contracts import Mode, Safety
from gateway.api.flag_body import RuleMembers
from gateway.api.gate_members import GateMembers, members_of
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flag_change import FlagChange
from gateway.core.flags import Flag, FlagSnapshot, percent_of
from gateway.core.gate_settings import OnWorkerLoss
from gateway.core.targeting import Rule
from gateway.usecases.in_flight import InFlightCounts

__all__ = [
    "FlagSetView",
    "FlagView",
    "FlagsChangeView",
    "FlagsView",
    "HistoryView",
    "VersionEntry",
    "VersionView",
    "flags_view_of",
    "view_of",
]


class FlagView(msgspec.Struct, frozen=True, kw_only=True):
    """A flag in force."""

    task: str
    mode: Mode
    events_percent: float
    shadow_percent: float
    control_percent: float
    safety: Safety
    salt: str
    hash_version: int
    gate: GateMembers | None
    held: bool
    on_worker_loss: OnWorkerLoss
    cohort_path: str
    shadow_delay_s: int
    rules: tuple[RuleMembers, ...]
    version: int
    """Of all flags together."""


class FlagSetView(FlagView, frozen=True, kw_only=True):
    """A flag just set."""

    in_flight: InFlightCounts | None
    """Messages that waited on a side the change took cohort keys off; None where it took none."""


class FlagsView(msgspec.Struct, frozen=True, kw_only=True):
    """All flags in force."""

    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    flags: Mapping[str, FlagView]


class FlagsChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """The version in force, and what is different from before; with `dry_run`, what would be."""

    version: int
    changes: tuple[FlagChange, ...]
    in_flight: InFlightCounts | None = None
    """As for one flag; None with `dry_run`, too."""
    refused: str | None = None
    """With `dry_run`: why the change itself is refused here, where flags are changed elsewhere."""


class VersionEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One version: who, when, why, and what was changed."""

    version: int
    changed_at: datetime
    author: str
    reason: str
    source: str
    evidence: FlagEvidence | None
    """What it rests on; the gate says it always, people where they like."""
    compared_with: int | None
    """The version `changes` are told from: the one before. None where that is no longer kept; there are no `changes` then."""
    changes: tuple[FlagChange, ...]


class HistoryView(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first."""

    versions: tuple[VersionEntry, ...]
    next_cursor: int | None
    """Ask for older ones with this `cursor`; None where there are none."""


class VersionView(VersionEntry, frozen=True, kw_only=True):
    """One version with all its flags."""

    flags: Mapping[str, FlagView]


def view_of(flag: Flag, snapshot: FlagSnapshot) -> FlagView:
    """A flag as the API shows it."""
    return FlagView(
        task=flag.task,
        mode=flag.mode,
        events_percent=percent_of(flag.events_share),
        shadow_percent=percent_of(flag.shadow_share),
        control_percent=percent_of(flag.control_share),
        safety=flag.safety,
        salt=flag.salt,
        hash_version=flag.hash_version,
        gate=members_of(flag.gate) if flag.gate is not None else None,
        held=flag.held,
        on_worker_loss=flag.on_worker_loss,
        cohort_path=flag.cohort_path,
        shadow_delay_s=flag.shadow_delay_s,
        rules=tuple(map(_rule_view, flag.rules)),
        version=snapshot.version,
    )


def flags_view_of(snapshot: FlagSnapshot) -> Mapping[str, FlagView]:
    """All flags of a version, by name."""
    return {task: view_of(flag, snapshot) for task, flag in sorted(snapshot.flags.items())}


def _rule_view(rule: Rule) -> RuleMembers:
    return RuleMembers(
        name=rule.name,
        when=rule.when,
        mode=rule.mode,
        events_percent=percent_of(rule.events_share),
        shadow_percent=percent_of(rule.shadow_share),
    )
