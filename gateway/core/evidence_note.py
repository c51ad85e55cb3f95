"""What a flag version rests on, kept with it for good."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.gate import Check

__all__ = ["FlagEvidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagEvidence:
    """What was looked at. The gate fills all of it in; a person what they know."""

    report: str
    """Id of the gate's verdict, or what a person's change rests on: a report's address, which may be one below the gateway's own."""
    n: int | None = None
    """Comparisons it rests on."""
    mismatches: int | None = None
    mismatch_at_most_percent: float | None = None
    """What n comparisons leave possible, one-sided at 95 %."""
    checks: tuple[Check, ...] = ()
