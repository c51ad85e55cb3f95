"""Generating again into the same folder: what other runs made stays, in its own files and in those about all of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.flags.document import parse_flags
from gateway.migrate import read_path
from gateway.migrate.generate.plan import plan_files
from gateway.migrate.generate.writing import MANIFEST, Written, read_inventory, write_files

SOURCE = """
from celery import shared_task
@shared_task(name="a.b_c")
def one(x): return 1
@shared_task(name="a_b.c", rate_limit="1/s")
def two(y): return 2
@shared_task(name="other")
def three(y): return 3
app.conf.beat_schedule = {
    "two": {"task": "a_b.c", "schedule": 60.0, "args": (1,)}, "three": {"task": "other", "schedule": 60.0, "args": (1,)},
}
"""


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "jobs.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path / "jobs.py"


def generate(source: Path, output: Path, task: str = "*") -> Written:
    plan = plan_files(read_path(source), source=source.name, task=task, known=read_inventory(output))
    return write_files(output, plan.files, inventory=plan.inventory)


def tasks_in(output: Path) -> dict[str, set[str]]:
    """The tasks each file about all of them names."""
    summary = (output / "MIGRATION.md").read_text()
    return {
        "flags.yaml": set(parse_flags((output / "flags.yaml").read_text(), "flags.yaml")),
        "MIGRATION.md": {line.split("`")[1] for line in summary.splitlines() if line.startswith("| `")},
    }


@pytest.mark.parametrize("order", [["a_b.c", "a.b_c"], ["a.b_c", "a_b.c"], ["*", "a_b.c"], ["a_b.c", "*"]])
def test_a_task_keeps_its_module_and_its_place_whatever_is_generated_beside_it(jobs: Path, tmp_path: Path, order: list[str]) -> None:
    output = tmp_path / "out"
    for task in order:
        assert not generate(jobs, output, task).refused
    expected = {"a.b_c", "a_b.c", *(["other"] if "*" in order else [])}
    assert tasks_in(output) == {"flags.yaml": expected, "MIGRATION.md": expected}
    assert '@handler("a.b_c")' in (output / "handlers" / "a_b_c.py").read_text()
    assert '@handler("a_b.c")' in (output / "handlers" / "a_b_c_2.py").read_text()
    assert f"Handlers of {len(expected)} tasks" in (output / "handlers" / "__init__.py").read_text()
    assert "rate_limit=1/s" in (output / "MIGRATION.md").read_text().partition("## To decide")[2]
    schedules = (output / "handlers" / "schedules.py").read_text()
    assert ("'other', {'y': 1}" in schedules, "'a_b.c', {'y': 1}" in schedules) == ("*" in order, True)


def test_a_task_that_comes_first_later_takes_nobodys_module(jobs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    generate(jobs, output)
    jobs.write_text(
        SOURCE.replace('"a_b.c"', '"a-b.c"').replace("@shared_task", '@shared_task(name="A.B_C")\ndef new(): pass\n@shared_task', 1)
    )
    assert not generate(jobs, output).refused
    assert '@handler("a.b_c")' in (output / "handlers" / "a_b_c.py").read_text()
    assert '@handler("a_b.c")' in (output / "handlers" / "a_b_c_2.py").read_text()
    assert {"A.B_C", "a-b.c"} <= tasks_in(output)["flags.yaml"]


def test_another_code_base_beside_it_takes_nothing_away(jobs: Path, tmp_path: Path) -> None:
    output, mails = tmp_path / "out", tmp_path / "mails.py"
    mails.write_text("from celery import shared_task\n@shared_task(name='mail')\ndef mail(): pass\n")
    generate(jobs, output)
    generate(mails, output)
    assert tasks_in(output)["flags.yaml"] == {"a.b_c", "a_b.c", "other", "mail"}
    assert "# Handlers generated from jobs.py, mails.py" in (output / "MIGRATION.md").read_text()


def test_a_task_whose_handler_was_deleted_is_forgotten(jobs: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    generate(jobs, output)
    (output / "handlers" / "other.py").unlink()
    generate(jobs, output, "a*")
    assert tasks_in(output)["flags.yaml"] == {"a.b_c", "a_b.c"}


def test_what_earlier_releases_remember_is_understood(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.py": "1\n"})
    remembered = msgspec.json.decode((tmp_path / MANIFEST).read_bytes())
    (tmp_path / MANIFEST).write_bytes(msgspec.json.encode(remembered["files"]))
    assert write_files(tmp_path, {"a.py": "2\n"}).written == ["a.py"]
