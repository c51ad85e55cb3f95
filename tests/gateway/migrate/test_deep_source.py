"""Handlers of tasks whose source is nested deeper than anyone writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.migrate import read_path
from gateway.migrate.generate.plan import plan_files

HEAD = "from celery import shared_task\n\n\n@shared_task\ndef deep(x):\n"


@pytest.mark.parametrize("expression", ["abs(" * 30 + "x" + ")" * 30, "abs(" * 180 + "x" + ")" * 180, " + ".join("x" * 900)])
def test_a_handler_is_made_of_deep_source(tmp_path: Path, expression: str) -> None:
    (tmp_path / "proj.py").write_text(f"{HEAD}    return {expression}\n", encoding="utf-8")
    plan = plan_files(read_path(tmp_path), source="proj")
    for name, text in plan.files.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
    assert [module.source.task.name for module in plan.modules] == ["proj.deep"]


def test_source_too_deep_to_read_is_named_in_the_summary(tmp_path: Path) -> None:
    (tmp_path / "proj.py").write_text(f"{HEAD}    return {'(' * 5000}x{')' * 5000}\n", encoding="utf-8")
    plan = plan_files(read_path(tmp_path), source="proj")
    assert plan.modules == []
    assert "- proj.py: " in plan.files["MIGRATION.md"]
