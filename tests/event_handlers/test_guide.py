"""The Python of docs/write-a-handler.md does what the page says."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from event_handlers import collect_handlers
from event_handlers.schedule import collect_schedules
from tests.support.processes import REPOSITORY

PAGE = REPOSITORY / "docs" / "write-a-handler.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
SOURCE = "\n\n".join(text for language, text in BLOCKS if language == "python")


@pytest.fixture(scope="module")
def guide() -> Iterator[types.ModuleType]:
    """The page as a module."""
    module = types.ModuleType("guide_page")
    sys.modules["guide_page"] = module
    exec(compile(SOURCE, str(PAGE), "exec"), vars(module))
    yield module
    del sys.modules["guide_page"]


def test_every_block_is_python_or_a_command() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}


@pytest.mark.parametrize("name", re.findall(r"^async def (test_\w+)", SOURCE, re.MULTILINE))
async def test_what_the_page_tests_holds(guide: types.ModuleType, name: str) -> None:
    test = getattr(guide, name)
    assert inspect.iscoroutinefunction(test)
    await test()


def test_the_handlers_and_schedules_of_the_page_are_found(guide: types.ModuleType) -> None:
    assert collect_handlers("guide_page").tasks == ("invoice.print", "order.confirm", "payment.process", "stock.reserve")
    assert [schedule.name for schedule in collect_schedules("guide_page")] == ["report.wanted"]


async def test_a_payment_goes_through_the_resilience_manager(guide: types.ModuleType) -> None:
    assert await guide.process_payment("p-1") == "charged p-1"


def test_the_options_in_the_commands_exist(tmp_path: Path) -> None:
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj" / "__init__.py").write_text("")
    (tmp_path / "proj" / "handlers.py").write_text(SOURCE)
    commands = [
        line.split() for language, text in BLOCKS if language == "console" for line in text.splitlines() if line.startswith("python ")
    ]
    assert len(commands) == 2
    worker = [sys.executable, *commands[1][1:], "--check"]
    done = subprocess.run(
        worker, cwd=REPOSITORY, env={"PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "stock.reserve" in done.stdout + done.stderr
