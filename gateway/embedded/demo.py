"""The demonstration: the sample shop in shadow, with handlers that hold planted faults and then with the faithful ones."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.embedded.server import listen, serving
from gateway.embedded.stack import SAMPLE_HANDLERS, EmbeddedOptions, open_embedded

if TYPE_CHECKING:
    from examples.shop.scenario import FaultCount, Scenario

__all__ = ["FAULTY_HANDLERS", "DemoResult", "run_demo"]

FAULTY_HANDLERS = "examples.shop.faulty_handlers"


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
    """Differences where no fault was planted: in tasks ported faithfully, and every one of the run with faithful handlers."""
    faithful_paired: int
    faithful_different: int
    elapsed_s: float
    faults: tuple[FaultRow, ...]


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A planted fault and the submissions in which the report shows it."""

    task: str
    fault: str
    path: str
    kind: str
    count: int


async def run_demo(count: int, seed: int = 0, timeout_s: float = 120.0, told: Callable[[int], None] = lambda _: None) -> DemoResult:
    """Submit `count` sample tasks in shadow with the faulty handlers, then with the faithful ones, and judge by the reports.

    `told` hears how many of both runs together are judged.
    """
    from examples.shop.scenario import count_planted, unexplained

    started = asyncio.get_running_loop().time()
    with tempfile.TemporaryDirectory(prefix="dualrun-demo-") as directory:
        faulty = await _observed(Path(directory) / "faulty", FAULTY_HANDLERS, count, seed, timeout_s, told)
        faithful = await _observed(Path(directory) / "faithful", SAMPLE_HANDLERS, count, seed, timeout_s, lambda done: told(count + done))
    faults = [_row(fault) for fault in count_planted(faulty.groups)]
    return DemoResult(
        submitted=faulty.submitted,
        accepted=len(faulty.accepted_ids),
        paired=faulty.paired,
        missing=faulty.missing,
        late=faulty.late,
        same=faulty.same,
        different=faulty.different,
        planted=len(faults),
        planted_found=sum(fault.count > 0 for fault in faults),
        false_alarms=unexplained(faulty.groups) + faithful.different,
        faithful_paired=faithful.paired,
        faithful_different=faithful.different,
        elapsed_s=round(asyncio.get_running_loop().time() - started, 1),
        faults=tuple(faults),
    )


async def _observed(state_dir: Path, handlers: str, count: int, seed: int, timeout_s: float, told: Callable[[int], None]) -> Scenario:
    from examples.shop.scenario import run_scenario

    async with open_embedded(EmbeddedOptions(state_dir=state_dir, handlers=handlers)) as stack:
        with listen("127.0.0.1", 0) as listener:
            async with serving(stack, listener) as url:
                return await run_scenario(url, count, seed=seed, timeout_s=timeout_s, told=told)


def _row(fault: FaultCount) -> FaultRow:
    return FaultRow(task=fault.task, fault=fault.fault, path=fault.path, kind=fault.kind, count=fault.count)
