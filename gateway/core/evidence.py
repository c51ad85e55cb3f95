"""How much n comparisons prove. All bounds are one-sided at 95 %; a bound is stated with its n, never alone.

Sources: Wilson (1927), score interval; Clopper and Pearson (1934), exact interval. Wilson is optimistic where nothing went wrong, so
there the exact bound counts. Looking again and again breaks both: they inform people, automatic actions need a sequential rule.
"""

from __future__ import annotations

import math

__all__ = ["clean_runs_needed", "exact_upper_at_zero", "mismatch_bound", "wilson_lower", "wilson_upper"]

_Z = 1.6448536269514722  # one-sided 95 %
_ALPHA = 0.05


def wilson_upper(k: int, n: int) -> float:
    """The largest ratio that still explains k in n; 1.0 where n is 0. Raises `ValueError` unless 0 <= k <= n."""
    return _wilson(k, n, 1.0)


def wilson_lower(k: int, n: int) -> float:
    """The smallest ratio that still explains k in n; 0.0 where n is 0. Raises `ValueError` unless 0 <= k <= n."""
    return _wilson(k, n, -1.0)


def exact_upper_at_zero(n: int) -> float:
    """Clopper-Pearson's upper bound for 0 in n: the p that solves (1 - p)^n = 0.05. About 3 / n; 1.0 where n is 0."""
    _check(0, n)
    return 1.0 if n == 0 else -math.expm1(math.log(_ALPHA) / n)


def mismatch_bound(different: int, compared: int) -> float:
    """The upper bound a report states for the ratio of mismatches: exact at none, else Wilson's."""
    _check(different, compared)
    return exact_upper_at_zero(compared) if different == 0 else wilson_upper(different, compared)


def clean_runs_needed(ratio: float) -> int:
    """How many comparisons without a mismatch prove a mismatch ratio below `ratio` (0 < ratio < 1, else `ValueError`)."""
    if not 0.0 < ratio < 1.0:
        raise ValueError(f"{ratio!r} is not a ratio between 0 and 1")
    return math.ceil(math.log(_ALPHA) / math.log1p(-ratio))


def _wilson(k: int, n: int, sign: float) -> float:
    _check(k, n)
    if n == 0:
        return 1.0 if sign > 0 else 0.0
    p, z2 = k / n, _Z * _Z
    centre = p + z2 / (2 * n)
    half = _Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    bound = (centre + sign * half) / (1 + z2 / n)
    # Rounding must not put the bound on the wrong side of what was observed.
    return min(1.0, max(p, bound)) if sign > 0 else max(0.0, min(p, bound))


def _check(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} in {n} is not a count of a whole")
