"""A step on the way: a mode, and for how many cohort keys. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dualrun.contracts import Mode
from gateway.core.share import FULL_SHARE, percent_of, share_of

__all__ = ["DEFAULT_STEPS", "Step", "parse_step"]

_ORDER = {mode: position for position, mode in enumerate(Mode)}
_WITH_SHARE = frozenset({Mode.SHADOW, Mode.CANARY, Mode.MIRROR})
_TEXT = re.compile(r"(?P<mode>[a-z]+)(?:\s+(?P<percent>\d+(?:\.\d+)?)\s*%?)?")


@dataclass(frozen=True, slots=True)
class Step:
    """`share` in hundred-thousandths: of keys observed (shadow, mirror), of keys moved (canary); 0 for legacy and events."""

    mode: Mode
    share: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """Orders steps by how far they are on the way."""
        return _ORDER[self.mode], self.share

    @property
    def exposes_callers(self) -> bool:
        """Whether the events side answers anybody."""
        return self.rank > (_ORDER[Mode.CANARY], 0)

    def __str__(self) -> str:
        return f"{self.mode.value} {percent_of(self.share):g} %" if self.mode in _WITH_SHARE else self.mode.value


def parse_step(text: str) -> Step:
    """The step a text such as `canary 1 %`, `shadow` (of all keys) or `events` names. Raises `ValueError` saying what would be right."""
    match = _TEXT.fullmatch(text.strip().lower())
    modes = [mode.value for mode in Mode]
    if match is None or match["mode"] not in modes:
        raise ValueError(f"{text!r} is no step: should be one of {', '.join(modes)}, such as 'canary 1 %'")
    mode, percent = Mode(match["mode"]), match["percent"]
    if mode not in _WITH_SHARE:
        if percent is not None:
            raise ValueError(f"{text!r} is no step: {mode.value} takes no percentage")
        return Step(mode)
    if percent is None and mode is Mode.CANARY:
        raise ValueError(f"{text!r} is no step: canary needs a percentage, such as 'canary 1 %'")
    share = FULL_SHARE if percent is None else share_of(float(percent))
    if not share:
        raise ValueError(f"{text!r} is no step: its percentage has to be above 0")
    return Step(mode, share)


DEFAULT_STEPS = tuple(map(parse_step, ("shadow 5 %", "shadow 100 %", "canary 1 %", "canary 10 %", "canary 50 %", "events")))
"""The way of a task whose flag names no other."""
