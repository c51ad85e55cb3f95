"""The way of a task, step by step, with the one it stands on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dualrun.contracts import Mode
from gateway.core.flags import Flag
from gateway.core.stages import gate_of, step_of
from gateway.core.step import Step

__all__ = ["Place", "Station", "way_of"]


class Place(StrEnum):
    """Where a step lies, seen from the task."""

    PASSED = "passed"
    PRESENT = "present"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Station:
    """A step of the way."""

    step: Step
    place: Place


def way_of(flag: Flag) -> tuple[Station, ...]:
    """Legacy, the steps of the flag's gate, and where the task stands between them if no step is its own."""
    here = step_of(flag)
    steps = sorted({Step(Mode.LEGACY), *gate_of(flag).steps, here}, key=lambda step: step.rank)
    return tuple(Station(step, _place(step, here)) for step in steps)


def _place(step: Step, here: Step) -> Place:
    if step == here:
        return Place.PRESENT
    return Place.PASSED if step.rank < here.rank else Place.AHEAD
