"""The gate's checks, one by one: from what was counted in a step to a result, the numbers behind it, and words. Pure.

A check fails only by a sequential test, so that looking at any time, and as often as anybody likes, is wrong no more often than `risk`. It
passes only by an exact bound on enough observations. Everything between is not known yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dualrun.contracts import Mode, Side
from gateway.core.binomial import clean_needed, exact_upper
from gateway.core.gate import Check, CheckName, CheckResult, Unit
from gateway.core.gate_settings import Gate
from gateway.core.sequential import mean_interval, ratio_interval, shows_fault, split_evidence
from gateway.core.share import FULL_SHARE
from gateway.core.step import Step
from gateway.core.step_evidence import HALF_BIN, Runs, StepEvidence

__all__ = [
    "FAILING_BY_ITSELF",
    "SOUND_PART",
    "StepState",
    "dead_letters_check",
    "errors_check",
    "latency_check",
    "mismatch_check",
    "missing_check",
    "soak_check",
    "split_check",
    "workers_check",
]

SOUND_PART = 0.1
"""A mismatch ratio of this part of the limit counts as sound."""
FAILING_BY_ITSELF = 0.1
"""A task fails in fewer of its runs than that of its own accord, as far as nobody has seen it on legacy."""
_SPLIT_RISK = 0.001
_LATENCY_RISK_TO_PASS = 0.05
_LEAST_PAIRS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """Where a task stands: what the rule needs beside the counts."""

    step: Step
    elapsed_s: float
    """Time in this step."""
    workers: int | None
    """Live workers on the events side; None where nobody can say."""


def mismatch_check(gate: Gate, evidence: StepEvidence, risk: float) -> Check:
    """Comparisons that differ."""
    return _ratio_check(
        CheckName.MISMATCH,
        evidence.different,
        evidence.compared,
        gate.mismatch_percent / 100,
        gate.min_samples,
        risk=risk,
        nothing="nothing was compared in this step",
        words=("clean", "differ"),
    )


def missing_check(gate: Gate, evidence: StepEvidence, risk: float) -> Check:
    """Pairs without their second outcome by the deadline."""
    return _ratio_check(
        CheckName.MISSING,
        evidence.unpaired,
        evidence.paired,
        gate.missing_percent / 100,
        gate.min_samples,
        risk=risk,
        nothing="no pair was due in this step",
        words=("complete", "lack an outcome"),
    )


def _ratio_check(
    name: CheckName, k: int, n: int, limit: float, min_samples: int, *, risk: float, nothing: str, words: tuple[str, str]
) -> Check:
    needed = clean_needed(k, limit)
    enough = None if needed is None else max(needed, min_samples)
    if n == 0:
        return Check(name=name, result=CheckResult.NO_DATA, unit=Unit.PERCENT, limit=100 * limit, needed=enough, text=nothing)
    proven, clean, bad = exact_upper(k, n), *words
    if shows_fault(k, n, sound=SOUND_PART * limit, faulty=limit, risk=risk):
        result, text = CheckResult.FAIL, f"{k:,} of {n:,} {bad}: too many for a sound task, {_percent(limit)} allowed"
    elif proven <= limit and n >= min_samples:
        result, text = CheckResult.PASS, f"{k:,} of {n:,} {bad}: at most {_percent(proven)} is proven, {_percent(limit)} allowed"
    elif k == 0:
        result, text = CheckResult.INCONCLUSIVE, f"{n:,} of {enough or 0:,} {clean} runs to prove < {_percent(limit)}"
    else:
        more = "" if enough is None else f"; {enough:,} runs would do if the rest are {clean}"
        result, text = CheckResult.INCONCLUSIVE, f"{k:,} of {n:,} {bad}: up to {_percent(proven)} is possible{more}"
    return Check(
        name=name,
        result=result,
        unit=Unit.PERCENT,
        observed=100 * k / n,
        proven=100 * proven,
        limit=100 * limit,
        n=n,
        needed=None if result is CheckResult.FAIL else enough,
        text=text,
    )


def errors_check(gate: Gate, evidence: StepEvidence, mode: Mode, risk: float) -> Check:
    """Failures on the events side, against those of legacy: in this step, or where it runs no more, in those before.

    Where legacy was never seen, nobody knows what the task fails of itself: a task is taken back for failing in `FAILING_BY_ITSELF` of
    its runs then, and goes on as if legacy never failed.
    """
    events, legacy, margin = evidence.runs(Side.EVENTS, mode), evidence.runs(Side.LEGACY, mode), gate.error_points / 100
    where = ""
    if legacy.n == 0 and mode is not Mode.SHADOW:
        legacy, where = evidence.legacy_before, " in the steps before"
    if events.n == 0 or (legacy.n == 0 and mode is Mode.SHADOW):
        side = "events" if events.n == 0 else "legacy"
        return Check(
            name=CheckName.ERRORS,
            result=CheckResult.NO_DATA,
            unit=Unit.POINTS,
            limit=gate.error_points,
            n=events.n,
            text=f"no run on the {side} side in this step",
        )
    base, observed = legacy.failed / legacy.n if legacy.n else 0.0, events.failed / events.n
    proven = exact_upper(events.failed, events.n)
    needed = clean_needed(events.failed, base + margin)
    enough = None if needed is None else max(needed, gate.min_samples)
    seen = f"events fails in {events.failed:,} of {events.n:,} runs, "
    seen += f"legacy in {legacy.failed:,} of {legacy.n:,}{where}" if legacy.n else "legacy has none to compare with"
    if (observed - base > margin and _surely_more(events, legacy, risk)) if legacy.n else _surely_failing(events, margin, risk):
        result, text = CheckResult.FAIL, f"{seen}: worse is proven"
    elif proven - base <= margin and events.n >= gate.min_samples:
        result, text = CheckResult.PASS, f"{seen}: at most {_points(proven - base)} more is proven, {_points(margin)} allowed"
    else:
        more = "" if enough is None else f"; {enough:,} runs would do if the rest succeed"
        result, text = CheckResult.INCONCLUSIVE, f"{seen}: up to {_points(proven - base)} more is possible{more}"
    return Check(
        name=CheckName.ERRORS,
        result=result,
        unit=Unit.POINTS,
        observed=100 * (observed - base),
        proven=100 * (proven - base),
        limit=gate.error_points,
        n=events.n,
        needed=None if result is CheckResult.FAIL else enough,
        text=text,
    )


def _surely_failing(events: Runs, margin: float, risk: float) -> bool:
    """Whether events fails more often than any task may of itself."""
    return ratio_interval(events.failed, events.n, risk=risk).low > max(FAILING_BY_ITSELF, margin)


def _surely_more(events: Runs, legacy: Runs, risk: float) -> bool:
    """Whether events fails more often than legacy, whatever either's true ratio is within its interval."""
    least = ratio_interval(events.failed, events.n, risk=risk / 2).low
    return least > ratio_interval(legacy.failed, legacy.n, risk=risk / 2).high


def latency_check(gate: Gate, evidence: StepEvidence, mode: Mode, risk: float) -> Check:
    """Run time on the events side over that of legacy, pair by pair."""
    mean, deviation, n = evidence.log_ratios(mode)
    least, limit = max(_LEAST_PAIRS, gate.min_samples), gate.latency_ratio
    if n == 0:
        return Check(
            name=CheckName.LATENCY,
            result=CheckResult.NO_DATA,
            unit=Unit.RATIO,
            limit=limit,
            needed=least,
            text="no pair was timed in this step",
        )
    proven = math.exp(mean_interval(mean, deviation, n, risk=_LATENCY_RISK_TO_PASS).high)
    seen = f"events takes {math.exp(mean):.2f} times as long over {n:,} pairs"
    if n >= _LEAST_PAIRS and mean_interval(mean, deviation, n, risk=risk).low > math.log(limit) + HALF_BIN:
        result, text = CheckResult.FAIL, f"{seen}: more than {limit:g} is proven"
    elif n >= least and proven <= limit:
        result, text = CheckResult.PASS, f"{seen}: at most {proven:.2f} is proven, {limit:g} allowed"
    else:
        result, text = CheckResult.INCONCLUSIVE, f"{seen}: up to {proven:.2f} is possible, {limit:g} allowed"
    return Check(
        name=CheckName.LATENCY,
        result=result,
        unit=Unit.RATIO,
        observed=math.exp(mean),
        proven=proven,
        limit=limit,
        n=n,
        needed=least if n < least else None,
        text=text,
    )


def dead_letters_check(limit: int, evidence: StepEvidence) -> Check:
    """Dead letters on the events side."""
    count, n = evidence.dead_letters, sum(evidence.outcomes.values())
    result = CheckResult.NO_DATA if n == 0 else CheckResult.PASS if count <= limit else CheckResult.FAIL
    text = f"{count:,} in this step, {limit:,} allowed" if n else "nothing ran in this step"
    observed = count if n else None
    return Check(name=CheckName.DEAD_LETTERS, result=result, unit=Unit.COUNT, observed=observed, limit=limit, n=n, text=text)


def split_check(state: StepState, evidence: StepEvidence) -> Check:
    """Cohort keys a canary sent to events, against its share."""
    moved, n = evidence.keys.get(Side.EVENTS, 0), sum(evidence.keys.values())
    share = state.step.share / FULL_SHARE
    if n == 0:
        text = "no submission in this step"
        return Check(name=CheckName.SPLIT, result=CheckResult.NO_DATA, unit=Unit.PERCENT, limit=100 * share, text=text)
    wrong = split_evidence(moved, n, share) >= 1 / _SPLIT_RISK
    text = f"{moved:,} of {n:,} cohort keys went to events, {_percent(share)} were to"
    return Check(
        name=CheckName.SPLIT,
        result=CheckResult.FAIL if wrong else CheckResult.PASS,
        unit=Unit.PERCENT,
        observed=100 * moved / n,
        limit=100 * share,
        n=n,
        text=f"{text}: the split is wrong, look at the routing before anything else" if wrong else text,
    )


def soak_check(gate: Gate, state: StepState) -> Check:
    """Time in the step."""
    left_s = gate.soak_s - state.elapsed_s
    return Check(
        name=CheckName.SOAK,
        result=CheckResult.PASS if left_s <= 0 else CheckResult.INCONCLUSIVE,
        unit=Unit.SECONDS,
        observed=state.elapsed_s,
        limit=gate.soak_s,
        text=f"in this step for {state.elapsed_s:,.0f} s, {gate.soak_s:,.0f} s asked for",
    )


def workers_check(state: StepState) -> Check:
    """Live workers on the events side."""
    known = state.workers is not None
    result = CheckResult.NO_DATA if not known else CheckResult.PASS if state.workers else CheckResult.FAIL
    text = f"{state.workers} live on the events side" if known else "not known: Redis is out of reach"
    return Check(name=CheckName.WORKERS, result=result, unit=Unit.COUNT, observed=state.workers, limit=1, n=state.workers or 0, text=text)


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.3g} %"


def _points(ratio: float) -> str:
    return f"{100 * ratio:.3g} points"
