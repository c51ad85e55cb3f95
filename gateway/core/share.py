"""Shares of the cohort keys: percentages in whole steps, so that nothing is lost to rounding."""

from __future__ import annotations

__all__ = ["FULL_SHARE", "percent_of", "share_of"]

FULL_SHARE = 100_000
"""Shares count hundred-thousandths: 0.001 % is 1."""


def share_of(percent: float) -> int:
    """Hundred-thousandths of a percentage.

    Raises `ValueError` where it is not 0 to 100 in steps of 0.001.
    """
    # Asked first: NaN, infinity and numbers beyond a float are not between the two, and cannot be rounded.
    if 0 <= percent <= 100:
        share = round(percent * 1_000)
        if abs(percent * 1_000 - share) <= 1e-6:
            return share
    raise ValueError(f"{percent!r} is not a percentage from 0 to 100 in steps of 0.001")


def percent_of(share: int) -> float:
    """The percentage a share stands for."""
    return share / 1_000
