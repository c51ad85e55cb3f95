"""The binomial distribution, exactly: what proven bounds are made of. A few lines, so that the gateway needs no SciPy."""

from __future__ import annotations

import math

from gateway.core.evidence import exact_upper_at_zero

__all__ = ["at_most", "clean_needed", "exact_upper"]

_ALPHA = 0.05
_TINY = 1e-300
_HALVINGS = 30
_FEW = 100
_SMALLEST_LOG = -600.0
_MOST_TERMS = 10_000
_MOST_RUNS = 10**9


def at_most(k: int, n: int, p: float) -> float:
    """The probability of k or fewer in n trials that each succeed with probability p.

    Source: the identity P(X <= k) = I_{1-p}(n - k, k + 1), with the incomplete beta function by Lentz's continued fraction (Press et
    al., Numerical Recipes, 6.4).
    """
    if k >= n or p <= 0.0:
        return 1.0
    if k < 0 or p >= 1.0:
        return 0.0
    none = n * math.log1p(-p)
    if k <= _FEW and none > _SMALLEST_LOG:
        return _sum_of_terms(k, n, p, math.exp(none))
    return _incomplete_beta(n - k, k + 1, 1.0 - p)


def exact_upper(k: int, n: int) -> float:
    """Clopper and Pearson's upper bound, one-sided at 95 %: the p at which k or fewer in n have probability 5 %. 1.0 where n is 0."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} in {n} is not a count of a whole")
    if k == n:
        return 1.0
    if k == 0:
        return exact_upper_at_zero(n)
    low, high = k / n, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if at_most(k, n, middle) > _ALPHA else (low, middle)
    return high


def clean_needed(k: int, limit: float) -> int | None:
    """The smallest n at which k in n prove a ratio of at most `limit`; None where no n up to a thousand million does."""
    if limit >= 1.0:
        return max(k, 1)
    if limit <= 0.0:
        return None
    low, high = max(k, 1) - 1, max(k + 1, math.ceil(3 / limit))
    while at_most(k, high, limit) > _ALPHA:
        low, high = high, 2 * high
        if high > _MOST_RUNS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(k, middle, limit) > _ALPHA else (low, middle)
    return high


def _sum_of_terms(k: int, n: int, p: float, term: float) -> float:
    total, odds = term, p / (1.0 - p)
    for successes in range(1, k + 1):
        term *= odds * (n - successes + 1) / successes
        total += term
    return min(1.0, total)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _continued_fraction(a, b, x) / a
    return 1.0 - front * _continued_fraction(b, a, 1.0 - x) / b


def _continued_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1.0))
    fraction = d
    for m in range(1, _MOST_TERMS):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            fraction *= c * d
        if abs(c * d - 1.0) < 1e-13:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
