"""The shop's traffic through a gateway with every task in shadow, judged by the report alone: over HTTP, as any caller would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from examples.shop.planted_faults import PLANTED
from examples.shop.traffic import Request, submissions

__all__ = ["FaultCount", "Scenario", "count_planted", "run_scenario", "unexplained"]

BATCH = 100
SAME = frozenset({"equal", "equal_after_normalise", "ignored"})
DIFFERENT = frozenset({"different_trace", "different_schedule", "different_value", "different_effect", "different_state"})


class Group(msgspec.Struct, frozen=True):
    """A difference group, as the report gives it below its task."""

    fingerprint: str
    aspect: str
    kind: str
    path: str
    count: int
    ignored_by: str | None = None
    task: str = ""


class TaskPart(msgspec.Struct, frozen=True):
    """One task of the report."""

    task: str
    counts: dict[str, int]
    groups: tuple[Group, ...] = ()


class Report(msgspec.Struct, frozen=True):
    """As much of the report as is judged here."""

    tasks: tuple[TaskPart, ...]


class FaultCount(msgspec.Struct, frozen=True, kw_only=True):
    """A planted fault and the submissions in which the report shows it."""

    task: str
    fault: str
    path: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One run: what was submitted and what the report then said."""

    submitted: int
    accepted_ids: tuple[str, ...]
    counts: Mapping[str, int]
    """Submissions by verdict."""
    groups: tuple[Group, ...]

    @property
    def same(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict in SAME)

    @property
    def different(self) -> int:
        return sum(n for verdict, n in self.counts.items() if verdict in DIFFERENT)

    @property
    def missing(self) -> int:
        return self.counts.get("missing", 0)

    @property
    def late(self) -> int:
        return self.counts.get("late", 0)

    @property
    def paired(self) -> int:
        return self.same + self.different + self.late


async def run_scenario(
    url: str, count: int, *, seed: int = 0, timeout_s: float = 120.0, told: Callable[[int], None] | None = None
) -> Scenario:
    """Put every task in shadow, submit `count` requests, wait until each pair is judged or `timeout_s` has passed.

    `told` hears how many are judged, as it grows.
    Raises httpx's errors where the gateway does not answer as it should.
    """
    requests = list(submissions(count, seed))
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as gateway:
        await _observe(gateway, {request.task for request in requests})
        accepted = await _submit(gateway, requests)
        report = await _judged(gateway, len(accepted), timeout_s, told)
    counts: dict[str, int] = {}
    for part in report.tasks:
        for verdict, n in part.counts.items():
            counts[verdict] = counts.get(verdict, 0) + n
    seen = (msgspec.structs.replace(group, task=part.task) for part in report.tasks for group in part.groups)
    groups = tuple(group for group in seen if group.ignored_by is None)
    return Scenario(submitted=len(requests), accepted_ids=tuple(accepted), counts=counts, groups=groups)


def count_planted(groups: Sequence[Group]) -> list[FaultCount]:
    """For each planted fault, how often the report shows its difference."""
    return [
        FaultCount(
            task=fault.task,
            fault=fault.name,
            path=fault.path,
            kind=fault.kind,
            count=sum(g.count for g in groups if (g.task, g.aspect, g.kind, g.path) == (fault.task, fault.aspect, fault.kind, fault.path)),
        )
        for fault in PLANTED
    ]


def unexplained(groups: Sequence[Group]) -> int:
    """Differences in tasks whose handlers hold no fault. Within a faulty task a fault shows in several groups: value, mail, note."""
    faulty = {fault.task for fault in PLANTED}
    return sum(group.count for group in groups if group.task not in faulty)


async def _observe(gateway: httpx.AsyncClient, tasks: set[str]) -> None:
    flag = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed", "author": "shop", "reason": "observe the whole shop"}
    for task in sorted(tasks):
        (await gateway.put(f"/v1/flags/{task}", json=flag)).raise_for_status()


async def _submit(gateway: httpx.AsyncClient, requests: Sequence[Request]) -> list[str]:
    accepted: list[str] = []
    for start in range(0, len(requests), BATCH):
        tasks = [{"task": each.task, "args": list(each.args), "kwargs": each.kwargs} for each in requests[start : start + BATCH]]
        answer = (await gateway.post("/v1/tasks/batch", json={"tasks": tasks})).raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        accepted += [result["id"] for result in results if "id" in result]
    return accepted


async def _judged(gateway: httpx.AsyncClient, accepted: int, timeout_s: float, told: Callable[[int], None] | None) -> Report:
    deadline = time.monotonic() + timeout_s
    while True:
        answer = (await gateway.get("/v1/reports/shadow", params={"format": "json"})).raise_for_status()
        report = msgspec.json.decode(answer.content, type=Report)
        judged = sum(sum(part.counts.values()) for part in report.tasks)
        if told is not None:
            told(judged)
        if judged >= accepted or time.monotonic() > deadline:
            return report
        # The ledger has no event for "all judged": a reader asks again.
        await asyncio.sleep(0.2)
