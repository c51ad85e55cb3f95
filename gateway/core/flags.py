"""Flags and the immutable snapshot decisions are taken from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from dualrun.contracts import Mode, Safety
from dualrun.contracts.recall import Recalls
from gateway.core.errors import FieldError, FlagRejected, UnsafeShadow
from gateway.core.evidence_note import FlagEvidence
from gateway.core.gate_settings import Gate, OnWorkerLoss
from gateway.core.share import FULL_SHARE, percent_of, share_of
from gateway.core.targeting import Rule, check_cohort_path, check_rules

__all__ = ["FULL_SHARE", "HASH_VERSION", "SHADOW_DELAY_MAX_S", "Flag", "FlagSnapshot", "percent_of", "share_of"]

HASH_VERSION = 1
"""How `bucket_of` hashes. Another way of hashing re-deals every cohort, so it gets another number."""

SHADOW_DELAY_MAX_S = 300
_OBSERVING = frozenset({Mode.SHADOW, Mode.MIRROR})
_SHADOW_MODES = frozenset({Mode.SHADOW, Mode.CANARY, Mode.MIRROR})
_REPEATABLE = frozenset({Safety.PURE, Safety.SANDBOXED})
_NEVER = datetime.fromtimestamp(0, UTC)
_GLOB = frozenset("*?[")
# What stands in the API's paths where a task's name would: `/v1/flags/history`, `/v1/flags/rollback`.
_RESERVED = frozenset({"history", "rollback"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """Where one task (or every task a glob names) is on its way."""

    task: str
    mode: Mode = Mode.LEGACY
    events_share: int = 0
    """Canary: cohort keys whose authority is events, in hundred-thousandths."""
    shadow_share: int = 0
    """Cohort keys that also run as a shadow, in hundred-thousandths."""
    control_share: int = 0
    """Of the shadowed cohort keys that legacy answers, those whose shadow runs on legacy too: what differs then is the task's own noise."""
    safety: Safety = Safety.UNSAFE
    salt: str = ""
    hash_version: int = HASH_VERSION
    gate: Gate | None = None
    """What has to be proven before the next step; a glob's holds for each of its tasks by itself."""
    held: bool = False
    """Nobody takes the next step, the gate included, until the hold is released. Going back is free."""
    on_worker_loss: OnWorkerLoss = OnWorkerLoss.ALERT
    cohort_path: str = ""
    """Where in a submission its cohort key stands: `kwargs.user_id`, `args[0]`, `attributes.tenant`, `headers.x-tenant`."""
    shadow_delay_s: int = 0
    """How much later a shadow starts than it could: once the authority has ended, the shadow is given what that was answered."""
    rules: tuple[Rule, ...] = ()
    """Who is treated differently: the first rule that holds sets mode and shares, the flag's own hold for everybody else."""

    @property
    def is_glob(self) -> bool:
        return not _GLOB.isdisjoint(self.task)

    @property
    def shadows(self) -> bool:
        """Whether any submission under this flag may run as a shadow."""
        stages: tuple[Flag | Rule, ...] = (self, *self.rules)
        return any(stage.mode in _SHADOW_MODES and stage.shadow_share > 0 for stage in stages)

    def check(self) -> None:
        """Raises `FlagRejected` naming the field, `UnsafeShadow` where the safety class forbids the shadow asked for."""
        errors = [*_share_errors(self, ""), *check_cohort_path(self.cohort_path), *check_rules(self.rules)]
        if self.task in _RESERVED:
            errors.append(
                FieldError("/task", f"/v1/flags/{self.task} is taken; the glob [{self.task[0]}]{self.task[1:]} names the task, too")
            )
        for index, rule in enumerate(self.rules):
            errors += _share_errors(rule, f"/rules/{index}")
        if not 0 <= self.control_share <= FULL_SHARE:
            errors.append(FieldError("/control_percent", "is a percentage: 0 to 100, in steps of 0.001"))
        if not 0 <= self.shadow_delay_s <= SHADOW_DELAY_MAX_S:
            errors.append(FieldError("/shadow_delay_s", f"seconds, 0 to {SHADOW_DELAY_MAX_S}"))
        if self.hash_version != HASH_VERSION:
            errors.append(FieldError("/hash_version", f"this release hashes by version {HASH_VERSION}"))
        if errors:
            raise FlagRejected(f"flag of {self.task!r}: {'; '.join(map(repr, errors))}", errors)
        if self.gate is not None:
            self.gate.check()
        self._check_safety()

    def _check_safety(self) -> None:
        if self.control_share and self.safety not in _REPEATABLE:
            raise UnsafeShadow(
                f"{self.task!r} may not run twice on legacy: a control run is a second execution, and its safety class is "
                f"{self.safety.value}. Set control_percent to 0, or declare `safety` as pure or sandboxed if one of them is true of it",
                [FieldError("/control_percent", "0, unless safety is pure or sandboxed")],
            )
        if self.shadows and self.safety is Safety.UNSAFE:
            raise UnsafeShadow(
                f"{self.task!r} may not run as a shadow: its safety class is unsafe (the default). Declare `safety` as pure, "
                "idempotent or sandboxed if one of them is true of it, or set shadow_percent to 0",
                [FieldError("/safety", "pure, idempotent or sandboxed")],
            )
        observing = next((step for step in self.gate.steps if step.mode in _OBSERVING), None) if self.gate is not None else None
        if observing is not None and self.safety is Safety.UNSAFE:
            raise UnsafeShadow(
                f"{self.task!r} can never take the step {str(observing)!r} of its gate: its safety class is unsafe (the default). Declare "
                "`safety` as pure, idempotent or sandboxed if one of them is true of it, or leave such steps out",
                [FieldError("/safety", "pure, idempotent or sandboxed")],
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagSnapshot:
    """All flags at one moment. Replaced whole, never changed."""

    version: int
    flags: Mapping[str, Flag] = field(default_factory=dict)
    changed_at: datetime = _NEVER
    author: str = ""
    reason: str = ""
    source: str = ""
    """Where the change came from: file, api, cli, console, gate."""
    evidence: FlagEvidence | None = None
    """What the change rests on, where whoever made it said so."""
    recalls: Recalls = field(default_factory=dict)
    """Which messages decided before it, or before which version, go back through a gateway."""
    _globs: tuple[Flag, ...] = field(init=False, repr=False, compare=False, default=())
    """The globs, the first that matches a task first: found once, not for every submission."""

    def __post_init__(self) -> None:
        globs = sorted((flag for flag in self.flags.values() if flag.is_glob), key=lambda flag: (-len(flag.task), flag.task))
        object.__setattr__(self, "_globs", tuple(globs))

    def flag_for(self, task: str) -> Flag | None:
        """The flag in force: the task's own, else the longest glob that matches it (ties: the alphabetically first)."""
        own = self.flags.get(task)
        if own is not None:
            return own
        return next((flag for flag in self._globs if fnmatchcase(task, flag.task)), None)

    def with_flag(self, flag: Flag) -> Mapping[str, Flag]:
        """The flags with this one set."""
        return {**self.flags, flag.task: flag}

    def numbered(self, version: int) -> FlagSnapshot:
        """The same flags under another number."""
        return replace(self, version=version)


def _share_errors(stage: Flag | Rule, at: str) -> list[FieldError]:
    return [
        FieldError(f"{at}/{name}", "is a percentage: 0 to 100, in steps of 0.001")
        for name, share in (("events_percent", stage.events_share), ("shadow_percent", stage.shadow_share))
        if not 0 <= share <= FULL_SHARE
    ]
