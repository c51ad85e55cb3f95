"""The routing rule: a pure function of a submission's task and cohort key, and a flag snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mmh3

from dualrun.contracts import Decision, Mode, Reason, Side
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot

__all__ = ["PLANS", "Plan", "bucket_of", "decide"]


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
_ROLLOUT, _SHADOW = "rollout", "shadow"


def bucket_of(salt: str, task: str, key: str) -> int:
    """Position of a cohort key on a task's ring: 0 <= result < 100,000, the same in every process and release.

    A key is in a share when its bucket is below it, so raising a share only adds keys. Integer arithmetic on murmur3_32 (x86, seed 0)
    of `salt:task:key` in UTF-8. Source: flagd's fractional split (open-feature/flagd#1903); vectors in `tests/gateway/core/`.
    """
    return (mmh3.hash(f"{salt}:{task}:{key}", signed=False) * FULL_SHARE) >> 32


def decide(task: str, cohort_key: str, snapshot: FlagSnapshot) -> Decision:
    """Who runs this submission, and why.

    Rollout and shadow sampling hash with salts of their own: the keys that move first are not the keys observed first.
    """
    flag = snapshot.flag_for(task)
    reason = Reason.BY_MODE if flag is not None else Reason.NO_FLAG
    flag = flag or _UNFLAGGED
    bucket: int | None = None
    moved = False
    if flag.mode is Mode.CANARY:
        bucket = bucket_of(_ROLLOUT + flag.salt, task, cohort_key)
        moved = bucket < flag.events_share
        reason = Reason.IN_ROLLOUT if moved else Reason.OUT_OF_ROLLOUT
    plan = PLANS[flag.mode, moved]
    shadow = plan.shadow if plan.shadow is not None and _sampled(flag, task, cohort_key) else None
    return Decision(
        mode=flag.mode,
        authority=plan.authority,
        shadow=shadow,
        reason=reason,
        bucket=bucket,
        flag_version=snapshot.version,
    )


def _sampled(flag: Flag, task: str, cohort_key: str) -> bool:
    if flag.shadow_share <= 0:
        return False
    return flag.shadow_share >= FULL_SHARE or bucket_of(_SHADOW + flag.salt, task, cohort_key) < flag.shadow_share
