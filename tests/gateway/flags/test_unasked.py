"""What a flags file does unasked is in the log."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from dualrun.contracts import Mode, Safety, Side
from gateway.catalogue.memory import MemoryCatalogue
from gateway.core.flags import FULL_SHARE, Flag
from gateway.flags import FlagsFile, MemoryFlagStore
from gateway.flags.unasked import UnaskedSteps
from tests.support.eventually import becomes
from tests.support.gating import GATE, TASK, announcement

GATED = Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.PURE, gate=GATE)


async def _applied(tmp_path: Path, flags: str, *, present: Flag | None = None, catalogue: MemoryCatalogue | None = None) -> MemoryFlagStore:
    """The store once a file that holds these flags is applied, and the grace is over."""
    path = tmp_path / "flags.yaml"
    path.write_text(f"version: 1\nflags: {flags}\n")
    store = MemoryFlagStore({} if present is None else {present.task: present})
    unasked = UnaskedSteps(catalogue or MemoryCatalogue(), grace_s=0.0)
    file = FlagsFile(path, store, unasked=unasked)
    await file.start()
    await becomes(lambda: _is_over(unasked), True)
    await file.stop()
    return store


async def _is_over(unasked: UnaskedSteps) -> bool:
    return not unasked._watching  # nothing else tells that it has looked


def _warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str, str]]:
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    return [(record.message, getattr(record, "task_name", ""), getattr(record, "side", "")) for record in records]


async def test_a_file_is_applied_as_written_and_what_nobody_serves_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = await _applied(tmp_path, f"{{{TASK}: {{mode: events}}}}")
    assert store.snapshot.flags[TASK].mode is Mode.EVENTS
    assert _warnings(caplog) == [("flags_file_to_nobody", TASK, "events")]


async def test_where_somebody_is_there_by_then_nothing_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    catalogue = MemoryCatalogue()
    catalogue.announce(announcement(Side.EVENTS, TASK))
    await _applied(tmp_path, f"{{{TASK}: {{mode: events}}, cart.merge: {{mode: legacy}}}}", catalogue=catalogue)
    assert _warnings(caplog) == []


@pytest.mark.parametrize("flags", [f"{{{TASK}: {{mode: events}}}}", "{'*': {mode: events}}"])
async def test_a_file_that_goes_past_a_gate_is_applied_and_says_for_which_task(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, flags: str
) -> None:
    catalogue = MemoryCatalogue()
    catalogue.announce(announcement(Side.EVENTS, TASK))
    store = await _applied(tmp_path, flags, present=GATED, catalogue=catalogue)
    flag = store.snapshot.flag_for(TASK)
    assert flag is not None
    assert flag.mode is Mode.EVENTS
    assert _warnings(caplog) == [("flags_file_passes_gate", TASK, "")]


async def test_a_file_that_goes_back_is_not_worth_a_word(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await _applied(tmp_path, f"{{{TASK}: {{mode: legacy}}}}", present=GATED)
    assert _warnings(caplog) == []
