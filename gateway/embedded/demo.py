"""The demonstration: the sample shop in shadow, with handlers that hold planted faults and then with the faithful ones."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import msgspec

from dualrun.contracts import Mode, Safety
from gateway.api.services import Services
from gateway.core.comparison import Verdict
from gateway.core.flags import FULL_SHARE, Flag
from gateway.core.report import DifferenceGroup, ShadowReport
from gateway.embedded.server import listen, serving
from gateway.embedded.stack import SAMPLE_HANDLERS, EmbeddedOptions, EmbeddedStack, open_embedded

__all__ = ["FAULTY_HANDLERS", "DemoResult", "FaultReport", "run_demo", "run_scenario"]

FAULTY_HANDLERS = "examples.shop.faulty_handlers"
BATCH = 100


class FaultReport(msgspec.Struct, frozen=True, kw_only=True):
    """A planted fault and how often the report shows it."""

    task: str
    fault: str
    path: str
    kind: str
    count: int


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the demonstration showed. Counts are of the run with planted faults unless they say otherwise."""

    submitted: int
    accepted: int
    paired: int
    missing: int
    late: int
    same: int
    different: int
    planted: int
    planted_found: int
    false_alarms: int
    """Differences no planted fault explains, plus every difference of the faithful handlers."""
    faithful_paired: int
    faithful_different: int
    elapsed_s: float
    faults: tuple[FaultReport, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run of traffic through the stack."""

    submitted: int
    accepted: int
    report: ShadowReport

    def count(self, *verdicts: Verdict) -> int:
        return sum(task.counts.get(verdict, 0) for task in self.report.tasks for verdict in verdicts)

    @property
    def same(self) -> int:
        return sum(task.same for task in self.report.tasks)

    @property
    def different(self) -> int:
        return sum(task.different for task in self.report.tasks)

    @property
    def groups(self) -> list[DifferenceGroup]:
        return [group for task in self.report.tasks for group in task.groups if group.ignored_by is None]


async def run_demo(count: int, seed: int = 0, timeout_s: float = 120.0) -> DemoResult:
    """Submit `count` sample tasks in shadow with the faulty handlers, then with the faithful ones, and judge the reports."""
    started = asyncio.get_running_loop().time()
    with tempfile.TemporaryDirectory(prefix="dualrun-demo-") as directory:
        options = EmbeddedOptions(state_dir=Path(directory) / "faulty", handlers=FAULTY_HANDLERS)
        async with open_embedded(options) as stack:
            faulty = await run_scenario(stack, count, seed, timeout_s)
        async with open_embedded(replace(options, state_dir=Path(directory) / "faithful", handlers=SAMPLE_HANDLERS)) as stack:
            faithful = await run_scenario(stack, count, seed, timeout_s)
    return _judge(faulty, faithful, asyncio.get_running_loop().time() - started)


async def run_scenario(stack: EmbeddedStack, count: int, seed: int, timeout_s: float) -> Scenario:
    """Put every task in shadow, submit the traffic over HTTP, wait until every pair is judged."""
    for task in sorted(stack.services.catalogue.names()):
        flag = Flag(task=task, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.SANDBOXED)
        await stack.services.change_flag.set(flag, author="demo", reason="the demonstration observes every task", source="cli")
    with listen("127.0.0.1", 0) as listener:
        async with serving(stack, listener) as url:
            accepted = await _submit(url, count, seed)
            report = await _judged(stack.services, accepted, timeout_s)
    return Scenario(count, accepted, report)


async def _submit(url: str, count: int, seed: int) -> int:
    from examples.shop.traffic import submissions

    tasks = [{"task": each.task, "args": list(each.args), "kwargs": each.kwargs} for each in submissions(count, seed)]
    accepted = 0
    async with httpx.AsyncClient(base_url=url, timeout=60.0) as client:
        for start in range(0, len(tasks), BATCH):
            answer = await client.post("/v1/tasks/batch", json={"tasks": tasks[start : start + BATCH]})
            accepted += int(answer.raise_for_status().json()["accepted"])
    return accepted


async def _judged(services: Services, accepted: int, timeout_s: float) -> ShadowReport:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        report = await services.ledger.shadow_report(None, since=None, until=None, now=services.now())
        judged = sum(sum(task.counts.values()) for task in report.tasks)
        if judged >= accepted or asyncio.get_running_loop().time() > deadline:
            return report
        await asyncio.sleep(0.1)


def _judge(faulty: Scenario, faithful: Scenario, elapsed_s: float) -> DemoResult:
    from examples.shop.faulty_handlers import PLANTED

    faults: list[FaultReport] = []
    explained: set[str] = set()
    for fault in PLANTED:
        found = _matching(faulty.groups, fault.task, fault.aspect, fault.path)
        explained.update(group.fingerprint for group in found)
        count = max((group.count for group in found), default=0)
        faults.append(FaultReport(task=fault.task, fault=fault.name, path=fault.path, kind=fault.kind, count=count))
    unexplained = sum(group.count for group in faulty.groups if group.fingerprint not in explained)
    return DemoResult(
        submitted=faulty.submitted,
        accepted=faulty.accepted,
        paired=faulty.same + faulty.different + faulty.count(Verdict.LATE),
        missing=faulty.count(Verdict.MISSING),
        late=faulty.count(Verdict.LATE),
        same=faulty.same,
        different=faulty.different,
        planted=len(faults),
        planted_found=sum(fault.count > 0 for fault in faults),
        false_alarms=unexplained + faithful.different,
        faithful_paired=faithful.same + faithful.different,
        faithful_different=faithful.different,
        elapsed_s=round(elapsed_s, 1),
        faults=tuple(faults),
    )


def _matching(groups: Sequence[DifferenceGroup], task: str, aspect: str, path: str) -> list[DifferenceGroup]:
    return [group for group in groups if group.task == task and group.aspect == aspect and group.path == path]
