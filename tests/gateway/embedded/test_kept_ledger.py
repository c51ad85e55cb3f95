"""`dualrun run` on the ledger an earlier run has left."""

from __future__ import annotations

from pathlib import Path

from dualrun.contracts import Mode
from gateway.core.flags import Flag
from gateway.core.request import TaskRequest
from gateway.embedded.stack import EmbeddedOptions, open_embedded

TASK = "learning.add"


async def _run_once(state_dir: Path) -> tuple[int, int]:
    """The version a flag was set at, and what the gate counts as evidence under it before anything ran."""
    async with open_embedded(EmbeddedOptions(state_dir=state_dir, drain_s=5.0)) as stack:
        services = stack.services
        flag = Flag(task=TASK, mode=Mode.EVENTS)
        version = (await services.change_flag.set(flag, author="a", reason="", source="api")).version
        outcomes = sum((await services.gate.read(TASK)).evidence.outcomes.values())
        accepted = (await services.submit.one(TaskRequest(task=TASK, args=(2, 3)))).accepted
        assert await services.read.result(accepted.id, 20.0) is not None
    return version, outcomes


async def test_flag_versions_go_on_so_that_the_gate_never_counts_what_an_earlier_run_did(tmp_path: Path) -> None:
    assert [await _run_once(tmp_path) for _ in range(2)] == [(1, 0), (2, 0)]
