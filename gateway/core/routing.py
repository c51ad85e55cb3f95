"""The routing rule: a pure function of a submission's task and cohort key, and a flag snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mmh3

from dualrun.contracts import Decision, Mode, Reason, Side
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot
from gateway.core.targeting import NOBODY, HeaderLookup, Rule, Subject, cohort_key_at, first_match

__all__ = ["PLANS", "Plan", "answering_sides", "bucket_of", "cohort_key_of", "decide", "decide_under"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which side answers, and which may be observed beside it."""

    authority: Side
    shadow: Side | None


PLANS: Mapping[tuple[Mode, bool], Plan] = {
    # (mode, is the cohort key among events_percent)
    (Mode.LEGACY, False): Plan(Side.LEGACY, None),
    (Mode.LEGACY, True): Plan(Side.LEGACY, None),
    (Mode.SHADOW, False): Plan(Side.LEGACY, Side.EVENTS),
    (Mode.SHADOW, True): Plan(Side.LEGACY, Side.EVENTS),
    (Mode.CANARY, False): Plan(Side.LEGACY, Side.EVENTS),
    (Mode.CANARY, True): Plan(Side.EVENTS, None),
    (Mode.MIRROR, False): Plan(Side.EVENTS, Side.LEGACY),
    (Mode.MIRROR, True): Plan(Side.EVENTS, Side.LEGACY),
    (Mode.EVENTS, False): Plan(Side.EVENTS, None),
    (Mode.EVENTS, True): Plan(Side.EVENTS, None),
}
_UNFLAGGED = Flag(task="*")
_ROLLOUT, _SHADOW, _CONTROL = "rollout", "shadow", "control"


def answering_sides(mode: Mode) -> tuple[Side, ...]:
    """The sides that answer for some cohort key in this mode."""
    return tuple(dict.fromkeys(PLANS[mode, is_among].authority for is_among in (True, False)))


def bucket_of(salt: str, task: str, key: str) -> int:
    """Position of a cohort key on a task's ring: 0 <= result < 100,000, the same in every process and release.

    A key is in a share when its bucket is below it, so raising a share only adds keys. Integer arithmetic on murmur3_32 (x86, seed 0)
    of `salt:task:key` in UTF-8. Source: flagd's fractional split (open-feature/flagd#1903); vectors in `tests/gateway/core/`.
    """
    return (mmh3.hash(f"{salt}:{task}:{key}", signed=False) * FULL_SHARE) >> 32


def decide(task: str, cohort_key: str, snapshot: FlagSnapshot, subject: Subject = NOBODY) -> Decision:
    """Who runs this submission, and why. `subject` is what the flag's rules look at."""
    return decide_under(snapshot.flag_for(task), task, cohort_key, subject, snapshot.version)


def decide_under(flag: Flag | None, task: str, cohort_key: str, subject: Subject, version: int) -> Decision:
    """As `decide`, with the flag in force already found.

    Rollout, shadow and control sampling hash with salts of their own: the keys that move first are not the keys observed first.
    """
    reason = Reason.BY_MODE if flag is not None else Reason.NO_FLAG
    flag = flag or _UNFLAGGED
    rule = first_match(flag.rules, subject) if flag.rules else None
    stage: Flag | Rule = flag
    if rule is not None:
        stage, reason = rule, Reason.BY_RULE
    bucket: int | None = None
    moved = False
    if stage.mode is Mode.CANARY:
        bucket = bucket_of(_ROLLOUT + flag.salt, task, cohort_key)
        moved = bucket < stage.events_share
        reason = Reason.IN_ROLLOUT if moved else Reason.OUT_OF_ROLLOUT
    plan = PLANS[stage.mode, moved]
    shadow = plan.shadow if plan.shadow is not None and _sampled(stage.shadow_share, _SHADOW + flag.salt, task, cohort_key) else None
    if shadow is Side.EVENTS and _sampled(flag.control_share, _CONTROL + flag.salt, task, cohort_key):
        # A control run: what differs between legacy and legacy is noise.
        shadow = Side.LEGACY
    return Decision(
        mode=stage.mode,
        authority=plan.authority,
        shadow=shadow,
        reason=reason,
        bucket=bucket,
        flag_version=version,
        rule=None if rule is None else rule.name,
        shadow_delay_s=flag.shadow_delay_s if shadow is not None else 0,
        safety=flag.safety if shadow is not None else None,
    )


def cohort_key_of(flag: Flag | None, subject: Subject, header: HeaderLookup | None = None) -> str | None:
    """The cohort key the flag's `cohort_path` finds in a submission; None where it names none, or there is nothing."""
    return cohort_key_at(flag.cohort_path, subject, header) if flag is not None and flag.cohort_path else None


def _sampled(share: int, salt: str, task: str, cohort_key: str) -> bool:
    if share <= 0:
        return False
    return share >= FULL_SHARE or bucket_of(salt, task, cohort_key) < share
