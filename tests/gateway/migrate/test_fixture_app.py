"""A scan of the fixture application, finding for finding, against a truth written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from dualrun.contracts import JsonValue
from gateway.migrate import FoundParameter, Scan, scan_path

APP = Path(__file__).parents[2] / "fixtures" / "migrate_app"


@pytest.fixture(scope="module")
def scan() -> Scan:
    return scan_path(APP / "source")


@pytest.fixture(scope="module")
def truth() -> dict[str, list[dict[str, JsonValue]]]:
    found: dict[str, list[dict[str, JsonValue]]] = json.loads((APP / "truth.json").read_text(encoding="utf-8"))
    return found


def rows(findings: object) -> list[dict[str, JsonValue]]:
    built: list[dict[str, JsonValue]] = msgspec.to_builtins(findings)
    return sorted(built, key=lambda row: json.dumps(row, sort_keys=True))


def written(parameters: list[FoundParameter]) -> str:
    """Parameters as a signature: what the truth is written in."""
    parts: list[str] = []
    for parameter in parameters:
        if parameter.keyword_only and not any(part.startswith("*") for part in parts):
            parts.append("*")
        annotation = f": {parameter.annotation}" if parameter.annotation else ""
        default = f" = {parameter.default}" if parameter.default else ""
        parts.append(f"{parameter.name}{annotation}{default}")
    return ", ".join(parts)


def test_every_task_is_found_with_its_options_and_nothing_else(scan: Scan, truth: dict[str, list[dict[str, JsonValue]]]) -> None:
    found = [{**msgspec.to_builtins(task), "parameters": written(task.parameters)} for task in scan.tasks]
    assert rows(found) == rows(truth["tasks"])


@pytest.mark.parametrize("kind", ["call_sites", "schedules", "routes", "unparsed"])
def test_everything_else_is_found_and_nothing_more(scan: Scan, truth: dict[str, list[dict[str, JsonValue]]], kind: str) -> None:
    unsaid: dict[str, dict[str, JsonValue]] = {"call_sites": {"options": {}}, "schedules": {"args": None, "kwargs": None}}
    expected = [{**unsaid.get(kind, {}), **row} for row in truth[kind]]
    assert rows(getattr(scan, kind)) == rows(expected)


def test_totals_count_what_is_listed(scan: Scan) -> None:
    totals = msgspec.structs.asdict(scan.totals)
    assert {kind: totals[kind] for kind in ("tasks", "call_sites", "schedules", "routes", "unparsed")} == {
        kind: len(getattr(scan, kind)) for kind in ("tasks", "call_sites", "schedules", "routes", "unparsed")
    }
    assert totals["files"] == len(list((APP / "source").rglob("*.py")))
