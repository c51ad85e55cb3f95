"""Schedules of the handlers' module tick in the single process too."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gateway.embedded.stack import EmbeddedOptions, open_embedded

HANDLERS = """
import asyncio
from event_handlers import handler
from event_handlers.schedule import Schedule

ticked = asyncio.Event()
hourly = Schedule("0 * * * *", "embedded.ticked")

@handler("embedded.ticked")
async def hear() -> None:
    ticked.set()
"""


async def test_a_tick_that_is_due_reaches_its_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "embedded_schedules.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    async with open_embedded(EmbeddedOptions(state_dir=tmp_path, handlers="embedded_schedules", drain_s=5.0)):
        await asyncio.wait_for(sys.modules["embedded_schedules"].ticked.wait(), 10)
