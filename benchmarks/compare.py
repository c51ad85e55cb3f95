"""Comparing two outcomes of 1 KB: `compare_outcomes` against `deepdiff.DeepDiff`, in turn, in one run.

DeepDiff gets the plain JSON of both (state, error kind, value, effects) with its default options: the least it can be asked to do. It
knows nothing of generated ids, so for that row it reports them while `compare_outcomes` pairs them. Run: `python -m benchmarks.compare`.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from deepdiff import DeepDiff

from benchmarks.machine import machine
from dualrun.contracts import Effect, JsonValue, Outcome, Role, Side, State
from gateway.comparison import TaskRules, compare_outcomes

RESULTS = Path(__file__).parent / "results" / "compare.json"
TARGET_RATIO = 20
ROUNDS = 7
ROUND_S = 0.15
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two outcomes, and what is to be found."""

    name: str
    authority: Outcome
    shadow: Outcome
    verdict: str
    differences: int


def main() -> None:
    """Measure, print the table, write the JSON."""
    rows = [_measure(pair) for pair in _pairs()]
    report = {"machine": machine("deepdiff", "msgspec"), "target_ratio": TARGET_RATIO, "rows": rows}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(f"{'pair of 1 KB outcomes':34}{'compare_outcomes':>18}{'DeepDiff':>14}{'ratio':>9}")
    for row in rows:
        print(f"{row['pair']!s:34}{row['compare_us']:>15} us{row['deepdiff_us']:>11} us{row['ratio']:>8}x")


def _measure(pair: Pair) -> dict[str, object]:
    verdict, differences = compare_outcomes(pair.authority, pair.shadow, TaskRules())
    assert (verdict.value, len(differences)) == (pair.verdict, pair.differences), (verdict, differences)
    ours, theirs = _plain(pair.authority), _plain(pair.shadow)
    rules = TaskRules()
    ours_us: list[float] = []
    theirs_us: list[float] = []
    for _ in range(ROUNDS):
        ours_us.append(_per_call_us(lambda: compare_outcomes(pair.authority, pair.shadow, rules)))
        theirs_us.append(_per_call_us(lambda: DeepDiff(ours, theirs)))
    compare_us, deepdiff_us = statistics.median(ours_us), statistics.median(theirs_us)
    return {
        "pair": pair.name,
        "verdict": verdict.value,
        "differences": len(differences),
        "bytes": len(msgspec.json.encode(ours)),
        "compare_us": round(compare_us, 1),
        "deepdiff_us": round(deepdiff_us, 1),
        "ratio": round(deepdiff_us / compare_us, 1),
    }


def _per_call_us(call: Callable[[], object]) -> float:
    calls, started = 0, time.perf_counter()
    while time.perf_counter() - started < ROUND_S:
        for _ in range(10):
            call()
        calls += 10
    return (time.perf_counter() - started) / calls * 1e6


def _pairs() -> list[Pair]:
    order = str(uuid.UUID(int=1, version=4))
    value = _value(order)
    # Over the wire, equal values are never the same objects.
    same = copy.deepcopy(value)
    wrong = _value(order)
    wrong["total"], wrong["currency"] = "144.10", None
    del wrong["note"]
    generated = _value(str(uuid.UUID(int=2, version=4)))
    sides = _outcome(Role.AUTHORITY, value, order), _outcome(Role.SHADOW, same, order)
    return [
        Pair("equal", *sides, "equal", 0),
        Pair("equal, keys in another order", sides[0], _outcome(Role.SHADOW, dict(reversed(same.items())), order), "equal", 0),
        Pair("3 differences", sides[0], _outcome(Role.SHADOW, wrong, order), "different_value", 3),
        Pair("equal but for generated ids", sides[0], _outcome(Role.SHADOW, generated, generated["id"]), "equal_after_normalise", 0),
    ]


def _value(order: str) -> dict[str, JsonValue]:
    return {
        "id": order,
        "customer": {"name": "Ann Example", "email": "ann@example.org", "tier": "gold", "since": "2019-04-01"},
        "items": [{"sku": f"SKU-{n}", "quantity": n, "unit_price": f"{n}.95", "in_stock": n % 2 == 0} for n in range(1, 7)],
        "total": "144.01",
        "currency": "EUR",
        "note": "leave it at the door",
        "tags": ["first", "gift", "web"],
        "confirmed": True,
    }


def _outcome(role: Role, value: dict[str, JsonValue], order: JsonValue) -> Outcome:
    mail = Effect(
        kind="email",
        key="to:ann@example.org",
        payload={"subject": f"Order {order} confirmed", "text": "Thank you."},
        performed=role is Role.AUTHORITY,
    )
    put = Effect(kind="http", key=f"POST http://shop/orders/{order}/status", payload={"status": "confirmed"})
    return Outcome(
        submission_id="0",
        task="order.confirm",
        side=Side.LEGACY if role is Role.AUTHORITY else Side.EVENTS,
        role=role,
        state=State.SUCCEEDED,
        value=value,
        effects=(mail, put),
        elapsed_ms=12.0,
        started_at=START,
        ended_at=START + timedelta(milliseconds=12),
        worker="bench:1",
        flag_version=1,
    )


def _plain(outcome: Outcome) -> dict[str, object]:
    effects = [{"kind": effect.kind, "key": effect.key, "payload": effect.payload} for effect in outcome.effects]
    return {"state": outcome.state.value, "error": None, "value": outcome.value, "effects": effects}


if __name__ == "__main__":
    main()
