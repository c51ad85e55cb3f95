"""How often the gate is wrong: simulated rollouts through the very rule the comparator runs. Seeded and bounded.

    python -m benchmarks.gate            # writes benchmarks/results/gate.json

- sound: both sides are the same code. They differ in a tenth of the allowed mismatches (noise), fail alike, and take alike. Each rollout
  goes the whole way, looked at after every few runs; a rollback anywhere on it is a false alarm. Others are kept in a canary for long.
- faulty: a canary whose handler differs in 1 % of the runs, with 1 % allowed. It has to be taken back within `within_runs` comparisons.
- last step: legacy runs no more, and failures are judged by what it did in the steps before. A sound handler goes on failing as legacy did;
  a faulty one fails in some more of its runs.
- no data: any step, any time: neither promoted nor taken back.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from benchmarks.machine import machine
from dualrun.contracts import Mode, Role, Side, State
from gateway.core.comparison import Verdict
from gateway.core.gate import GateAction
from gateway.core.gate_check import SOUND_PART, StepState
from gateway.core.gate_rule import action_of, checks_of, may_go_on_alone
from gateway.core.gate_settings import Gate
from gateway.core.share import FULL_SHARE
from gateway.core.step import Step
from gateway.core.step_evidence import StepEvidence

__all__ = ["FaultyResult", "LastStepResult", "Rates", "SoundResult", "faulty_rollouts", "last_steps", "no_data_actions", "sound_rollouts"]

RESULT = Path(__file__).parent / "results" / "gate.json"
WITHIN_RUNS = 2_000
RUNS_A_STEP = 3_000
LOOK_EVERY = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one run shows with which probability."""

    mismatch: float = 0.0
    failing: float = 0.02
    """On either side, of its own accord."""
    missing: float = 0.0005
    log_ratio_sd: float = 0.8
    """Spread of the logarithm of events over legacy; its mean is 0."""


@dataclass(slots=True)
class _Counts:
    """What a step has gathered."""

    step: Step
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    outcomes: Counter[tuple[Side, Role, State]] = field(default_factory=Counter)
    ratios: Counter[int] = field(default_factory=Counter)
    keys: Counter[Side] = field(default_factory=Counter)
    before: Counter[tuple[Side, Role, State]] = field(default_factory=Counter)

    def run(self, draw: random.Random, rates: Rates) -> None:
        """One more pair, and one more run on each side; a cohort key dealt by the step's share. In the last step, a run on events alone."""
        if self.step.mode is Mode.EVENTS:
            self.outcomes[Side.EVENTS, Role.AUTHORITY, State.FAILED if draw.random() < rates.failing else State.SUCCEEDED] += 1
            return
        if draw.random() < rates.missing:
            self.verdicts[Verdict.MISSING] += 1
        else:
            self.verdicts[Verdict.DIFFERENT_VALUE if draw.random() < rates.mismatch else Verdict.EQUAL] += 1
            self.ratios[round(10 * draw.gauss(0.0, rates.log_ratio_sd))] += 1
        events_role = Role.SHADOW if self.step.mode is Mode.SHADOW else Role.AUTHORITY
        for side, role in ((Side.LEGACY, Role.AUTHORITY), (Side.EVENTS, events_role)):
            self.outcomes[side, role, State.FAILED if draw.random() < rates.failing else State.SUCCEEDED] += 1
        if self.step.mode is Mode.CANARY:
            self.keys[Side.EVENTS if draw.random() * FULL_SHARE < self.step.share else Side.LEGACY] += 1

    def action(self, gate: Gate) -> GateAction:
        """What the gate does about all of it with `auto_promote`, the soak being over and a worker alive."""
        evidence = StepEvidence(verdicts=self.verdicts, outcomes=self.outcomes, ratios=self.ratios, keys=self.keys, before=self.before)
        state = StepState(step=self.step, elapsed_s=gate.soak_s, workers=1)
        action, _ = action_of(checks_of(gate, state, evidence), exposed=self.step.exposes_callers, last=False)
        return GateAction.HOLD if action is GateAction.PROMOTE and not may_go_on_alone(gate, evidence) else action


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundResult:
    """Rollouts of a handler that is as good as the task it replaces."""

    rollouts: int
    rolled_back: int
    finished: int
    """Went through every step that compares. The rest ran out of runs, and waits for a person."""
    looks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStepResult:
    """Stays in the last step, after so many runs of legacy."""

    rollouts: int
    legacy_failing: float
    events_failing: float
    runs_of_legacy: int
    runs: int
    rolled_back: int
    runs_median: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultyResult:
    """Rollouts of a handler with a fault, in a canary."""

    rollouts: int
    mismatch: float
    within_runs: int
    rolled_back: int
    promoted: int
    runs_median: int
    runs_95_percent: int


def sound_rollouts(gate: Gate, rates: Rates, count: int, seed: int, *, runs_a_step: int = RUNS_A_STEP) -> SoundResult:
    """Each goes on as soon as the gate lets it, and is looked at every `LOOK_EVERY` runs."""
    draw, ends, looks = random.Random(seed), Counter[str](), 0
    for _ in range(count):
        end, looked = _rollout(gate, rates, draw, runs_a_step)
        ends[end] += 1
        looks += looked
    return SoundResult(rollouts=count, rolled_back=ends["rolled back"], finished=ends["finished"], looks=looks)


def faulty_rollouts(gate: Gate, rates: Rates, count: int, seed: int, *, within_runs: int = WITHIN_RUNS) -> FaultyResult:
    """A canary that is promoted on the way counts as promoted, and as not taken back."""
    draw, taken_at, promoted = random.Random(seed), [], 0
    canary = next(step for step in gate.steps if step.mode is Mode.CANARY)
    for _ in range(count):
        action, runs, _ = _stay(_Counts(canary), gate, rates, draw, within_runs)
        if action is GateAction.ROLL_BACK:
            taken_at.append(runs)
        promoted += action is GateAction.PROMOTE
    taken_at.sort()
    return FaultyResult(
        rollouts=count,
        mismatch=rates.mismatch,
        within_runs=within_runs,
        rolled_back=len(taken_at),
        promoted=promoted,
        runs_median=taken_at[len(taken_at) // 2] if taken_at else 0,
        runs_95_percent=taken_at[len(taken_at) * 95 // 100] if taken_at else 0,
    )


def last_steps(gate: Gate, failing: tuple[float, float], count: int, seed: int, *, runs: int = RUNS_A_STEP) -> LastStepResult:
    """Each is looked at every `LOOK_EVERY` runs; `failing` is the part of runs that fails on legacy, and on events."""
    draw, taken_at = random.Random(seed), []
    for _ in range(count):
        failed = sum(draw.random() < failing[0] for _ in range(RUNS_A_STEP))
        role = Role.AUTHORITY
        before = Counter({(Side.LEGACY, role, State.FAILED): failed, (Side.LEGACY, role, State.SUCCEEDED): RUNS_A_STEP - failed})
        action, at, _ = _stay(_Counts(Step(Mode.EVENTS), before=before), gate, Rates(failing=failing[1]), draw, runs)
        if action is GateAction.ROLL_BACK:
            taken_at.append(at)
    taken_at.sort()
    return LastStepResult(
        rollouts=count,
        legacy_failing=failing[0],
        events_failing=failing[1],
        runs_of_legacy=RUNS_A_STEP,
        runs=runs,
        rolled_back=len(taken_at),
        runs_median=taken_at[len(taken_at) // 2] if taken_at else 0,
    )


def no_data_actions(gate: Gate) -> dict[str, str]:
    """What the gate says in each step in which nothing has run."""
    return {str(step): _Counts(step).action(gate).value for step in gate.steps}


def _rollout(gate: Gate, rates: Rates, draw: random.Random, runs_a_step: int) -> tuple[str, int]:
    looks = 0
    for step in gate.steps:
        if step.mode is Mode.EVENTS:
            break  # nothing is compared there
        action, _, looked = _stay(_Counts(step), gate, rates, draw, runs_a_step)
        looks += looked
        if action is not GateAction.PROMOTE:
            return ("rolled back" if action is GateAction.ROLL_BACK else "waiting"), looks
    return "finished", looks


def _stay(counts: _Counts, gate: Gate, rates: Rates, draw: random.Random, runs: int) -> tuple[GateAction, int, int]:
    """What the gate does in one step, after how many runs, at how many looks."""
    for run in range(1, runs + 1):
        counts.run(draw, rates)
        if run % LOOK_EVERY == 0 and (action := counts.action(gate)) is not GateAction.HOLD:
            return action, run, run // LOOK_EVERY
    return GateAction.HOLD, runs, runs // LOOK_EVERY


def main() -> None:
    """Simulate, print, and keep the numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=20_261_121)
    given = parser.parse_args()
    gate, started = Gate(error_points=2.0), time.monotonic()
    limit = gate.mismatch_percent / 100
    sound = sound_rollouts(gate, Rates(mismatch=SOUND_PART * limit), given.rollouts, given.seed)
    # Never promoted, so that every look of a long stay may take it back.
    staying = replace(gate, steps=tuple(step for step in gate.steps if step.exposes_callers), min_samples=10**6)
    kept = sound_rollouts(staying, Rates(mismatch=SOUND_PART * limit), given.rollouts * 3 // 10, given.seed + 1)
    faulty = faulty_rollouts(gate, Rates(mismatch=limit), given.rollouts, given.seed + 2)
    result = {
        "machine": machine(),
        "seed": given.seed,
        "look_every_runs": LOOK_EVERY,
        "gate": {"steps": [str(step) for step in gate.steps], "mismatch_percent": gate.mismatch_percent, "error_points": gate.error_points},
        "sound": asdict(sound),
        "sound_kept_in_the_first_canary": asdict(kept),
        "faulty": asdict(faulty),
        "last_step": [asdict(last_steps(gate, (0.02, failing), given.rollouts, given.seed + 3)) for failing in (0.02, 0.06, 1.0)],
        "no_data": no_data_actions(gate),
        "elapsed_s": round(time.monotonic() - started, 1),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
