"""Tests that stay true however often somebody looks: what the gate may act on by itself. Pure.

A fixed interval looked at after every run crosses its bound in half of all sound rollouts; these cross it, at any time at all, with at most
the stated probability.
"""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["Interval", "mean_interval", "ratio_interval", "shows_fault", "shows_soundness", "split_evidence"]

_HALVINGS = 30
_DECIDE_AT = 1_000
"""Where the interval of a mean is tightest, relative to what is possible."""


class Interval(NamedTuple):
    """What the observations leave possible."""

    low: float
    high: float


def shows_fault(k: int, n: int, *, sound: float, faulty: float, risk: float) -> bool:
    """Whether k in n prove that the ratio is `faulty` rather than `sound`; wrong with at most probability `risk`, at any number of looks.

    Source: Wald's sequential probability ratio test (1945) with boundaries 1 / risk, which hold for each direction by itself (Ville's
    inequality).
    """
    if not 0.0 < sound < faulty < 1.0:
        return False
    return _log_ratio(k, n, sound, faulty) >= -math.log(risk)


def shows_soundness(k: int, n: int, *, sound: float, faulty: float, risk: float) -> bool:
    """The same the other way round: whether k in n prove that the ratio is `sound` rather than `faulty`."""
    if not 0.0 < sound < faulty < 1.0:
        return True
    return _log_ratio(k, n, sound, faulty) <= math.log(risk)


def split_evidence(k: int, n: int, p: float) -> float:
    """How much more likely k in n are under some other split than under p: at or above 1 / risk the split is not p.

    Source: Lindon and Malek, Anytime-valid inference for multinomial count data (2022), two outcomes, uniform prior.
    """
    return math.exp(min(_log_mixture(k, n) - _log_likelihood(k, n, p), 700.0))


def ratio_interval(k: int, n: int, *, risk: float) -> Interval:
    """Every ratio that k in n leave possible, at any number of looks with at most probability `risk` of missing the true one.

    Source: Robbins (1970), mixture of the binomial likelihood over a uniform prior: exact, also for rare events.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    observed, least = k / n, _log_mixture(k, n) + math.log(risk)
    return Interval(_edge(k, n, least, observed, 0.0), _edge(k, n, least, observed, 1.0))


def mean_interval(mean: float, deviation: float, n: int, *, risk: float) -> Interval:
    """As `ratio_interval` for the mean of any number, once there are some dozens of it.

    Source: Waudby-Smith et al., Time-uniform central limit theory (2023), equation 9, as in GrowthBook.
    """
    rho = math.sqrt((-2.0 * math.log(risk) + math.log(1.0 - 2.0 * math.log(risk))) / _DECIDE_AT)
    spread = n * rho * rho + 1.0
    half = deviation * math.sqrt(2.0 * spread * math.log(math.sqrt(spread) / risk)) / (n * rho)
    return Interval(mean - half, mean + half)


def _log_ratio(k: int, n: int, sound: float, faulty: float) -> float:
    return k * math.log(faulty / sound) + (n - k) * math.log((1.0 - faulty) / (1.0 - sound))


def _log_mixture(k: int, n: int) -> float:
    """The logarithm of the likelihood of k in n, averaged over every ratio there is."""
    return math.lgamma(k + 1) + math.lgamma(n - k + 1) - math.lgamma(n + 2)


def _log_likelihood(k: int, n: int, p: float) -> float:
    return _times_log(k, p) + _times_log(n - k, 1.0 - p)


def _times_log(count: int, p: float) -> float:
    if count == 0:
        return 0.0
    return count * math.log(p) if p > 0.0 else -math.inf


def _edge(k: int, n: int, least: float, inside: float, outside: float) -> float:
    """Where between an observed ratio and an end of the scale the likelihood of what was observed falls to the least one."""
    if _log_likelihood(k, n, outside) > least:
        return outside
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2.0
        inside, outside = (middle, outside) if _log_likelihood(k, n, middle) > least else (inside, middle)
    return outside
