"""Which messages a flag change recalls. Pure.

A change recalls a side's messages of a task where it may take cohort keys off that side. It may say so for more keys than it moves: what
is recalled is decided again, and a key that did not move goes back to the side it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from dualrun.contracts import Mode, Side
from dualrun.contracts.recall import Recalls
from gateway.core.evidence_note import FlagEvidence
from gateway.core.flags import FULL_SHARE, Flag, FlagSnapshot
from gateway.core.targeting import Rule

__all__ = ["exposure", "left_sides", "moved_names", "next_version", "recalls_after"]

_UNFLAGGED = Flag(task="*")
_ANYTHING = (0, FULL_SHARE)


def exposure(stage: Flag | Rule) -> int:
    """Cohort keys whose authority is events, in hundred-thousandths."""
    if stage.mode is Mode.CANARY:
        return stage.events_share
    return FULL_SHARE if stage.mode in {Mode.MIRROR, Mode.EVENTS} else 0


def left_sides(before: Flag, after: Flag) -> frozenset[Side]:
    """The sides that some cohort key may have left."""
    if not _deal_alike(before, after):
        return _left_between(_exposures(before), _exposures(after))
    if exposure(before) == exposure(after):
        return frozenset()
    return frozenset({Side.EVENTS if exposure(after) < exposure(before) else Side.LEGACY})


def moved_names(before: FlagSnapshot, after: Mapping[str, Flag]) -> Mapping[Side, frozenset[str]]:
    """Names and globs of the tasks that may have left each side."""
    then = FlagSnapshot(version=0, flags=after)
    changed = [name for name in before.flags.keys() | after.keys() if before.flags.get(name) != after.get(name)]
    left = {name: _left(name, before, then) for name in changed}
    return {side: frozenset(name for name, sides in left.items() if side in sides) for side in Side}


def recalls_after(recalls: Recalls, moved: Mapping[Side, Iterable[str]], version: int) -> Recalls:
    """The recalls once `version` has moved these names."""
    return {side: {**recalls.get(side, {}), **dict.fromkeys(moved.get(side, ()), version)} for side in Side}


def next_version(
    present: FlagSnapshot,
    flags: Mapping[str, Flag],
    *,
    changed_at: datetime,
    author: str,
    reason: str,
    source: str,
    evidence: FlagEvidence | None = None,
) -> FlagSnapshot:
    """The snapshot that follows the present one."""
    version = present.version + 1
    return FlagSnapshot(
        version=version,
        flags=dict(flags),
        changed_at=changed_at,
        author=author,
        reason=reason,
        source=source,
        evidence=evidence,
        recalls=recalls_after(present.recalls, moved_names(present, flags), version),
    )


def _left(name: str, before: FlagSnapshot, after: FlagSnapshot) -> frozenset[Side]:
    old, new = before.flags.get(name), after.flags.get(name)
    there = old or new
    assert there is not None
    if not there.is_glob:
        return left_sides(before.flag_for(name) or _UNFLAGGED, after.flag_for(name) or _UNFLAGGED)
    if old is not None and new is not None:
        return left_sides(old, new)
    # What a glob's tasks were under before it came, or are under now it is gone, may be anything.
    return _left_between(_ANYTHING if old is None else _exposures(old), _ANYTHING if new is None else _exposures(new))


def _exposures(flag: Flag) -> tuple[int, int]:
    """The smallest and the largest that any submission under the flag may meet."""
    stages: tuple[Flag | Rule, ...] = (flag, *flag.rules)
    met = [exposure(stage) for stage in stages]
    return min(met), max(met)


def _left_between(before: tuple[int, int], after: tuple[int, int]) -> frozenset[Side]:
    (least_before, most_before), (least_after, most_after) = before, after
    left = {Side.EVENTS: most_before > 0 and least_after < FULL_SHARE, Side.LEGACY: least_before < FULL_SHARE and most_after > 0}
    return frozenset(side for side, may_have in left.items() if may_have)


def _deal_alike(before: Flag, after: Flag) -> bool:
    """Whether a key that is in a share of one is in a share of the other that is no smaller."""
    moved = replace(
        before,
        task=after.task,
        mode=after.mode,
        events_share=after.events_share,
        shadow_share=after.shadow_share,
        control_share=after.control_share,
        safety=after.safety,
        gate=after.gate,
        held=after.held,
        on_worker_loss=after.on_worker_loss,
    )
    return moved == after
