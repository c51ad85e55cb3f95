"""The noise rule against Diffy's, on the table of cases in which Diffy's is known to fail: the product's own code on drawn counts.

Each row draws, many times over, how often a field differs in N pairs of legacy against events and in N of legacy against legacy, and
counts how often each rule raises an alarm. Without a shift an alarm is false: fewer is better. With one it is a find: more is better. A
shift too rare to be proven at that N is shown as unproven, which is no alarm: for such a row the share that is shown at all counts.
Run: `python -m benchmarks.noise`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine
from gateway.core.noise import FieldCounts, FieldStanding, judge_fields

RESULTS = Path(__file__).parent / "results" / "noise.json"
DRAWS = 4_000


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table."""

    n: int
    noise: float
    shift: float
    is_rare: bool = False
    """Whether so few pairs cannot prove the shift."""


CASES = (
    Case(100, 0.20, 0.0),
    Case(1_000, 0.20, 0.04),
    Case(10_000, 0.20, 0.04),
    Case(1_000, 0.20, 0.12),
    Case(1_000, 0.001, 0.0),
    Case(10_000, 0.001, 0.0),
    Case(1_000, 0.001, 0.002, is_rare=True),
)


def diffy_flags(n: int, k: int, j: int) -> bool:
    """Diffy's rule: relative threshold 20 %, absolute 0.03 %. Source: opendiffy's JoinedDifferences and its default settings."""
    return k > j and 100 * (k - j) / (k + j) > 20 and 100 * (k - j) / n > 0.03


def main() -> None:
    """Draw, print the table, write the JSON."""
    rows = [_row(case) for case in CASES]
    RESULTS.write_text(json.dumps({"machine": machine(), "draws": DRAWS, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    print(f"{'N':>7}{'noise':>8}{'shift':>8}{'Diffy':>9}{'alarms':>9}{'shown':>9}  better")
    for row in rows:
        print(f"{row['n']:>7}{row['noise']:>8}{row['shift']:>8}{row['diffy']:>9}{row['alarms']:>9}{row['shown']:>9}  {row['better']}")


def _row(case: Case) -> dict[str, object]:
    draw = random.Random(f"{case.n} {case.noise} {case.shift}")
    diffy = alarms = shown = 0
    for _ in range(DRAWS):
        k, j = draw_binomial(draw, case.n, case.noise + case.shift), draw_binomial(draw, case.n, case.noise)
        standing = judge_fields({0: FieldCounts(case.n, k, case.n, j)})[0].standing
        diffy += diffy_flags(case.n, k, j)
        alarms += standing is FieldStanding.DIFFERENT
        shown += standing in (FieldStanding.DIFFERENT, FieldStanding.UNPROVEN)
    counted = shown if case.is_rare else alarms
    return {
        "n": case.n,
        "noise": case.noise,
        "shift": case.shift,
        "diffy": round(diffy / DRAWS, 4),
        "alarms": round(alarms / DRAWS, 4),
        "shown": round(shown / DRAWS, 4),
        "better": counted < diffy if case.shift == 0 else counted >= diffy,
    }


def draw_binomial(draw: random.Random, n: int, p: float) -> int:
    """How many of n happen, each with probability p: rare ones by the gaps between them, frequent ones by their normal limit."""
    if n * p > 100:
        return min(n, max(0, round(draw.gauss(n * p, (n * p * (1 - p)) ** 0.5))))
    return sum(draw.random() < p for _ in range(n)) if p > 0.05 else _rare(draw, n, p)


def _rare(draw: random.Random, n: int, p: float) -> int:
    happened, at = 0, 0.0
    while True:
        at += draw.expovariate(p)
        if at >= n:
            return happened
        happened += 1


if __name__ == "__main__":
    main()
