"""What no scanner likes to meet: each is reported with its file, and costs nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.migrate import Scan, Unparsed, scan_path

GOOD = "from celery import shared_task\n\n\n@shared_task\ndef good():\n    pass\n"


def scan_beside_good(folder: Path, content: bytes) -> Scan:
    (folder / "hostile.py").write_bytes(content)
    (folder / "tasks.py").write_text(GOOD, encoding="utf-8")
    scan = scan_path(folder)
    assert [task.name for task in scan.tasks if task.file == "tasks.py"] == ["tasks.good"]
    return scan


def nested_functions(depth: int) -> bytes:
    return b"".join(b" " * level + b"def f():\n" for level in range(depth)) + b" " * depth + b"pass\n"


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        pytest.param(b"x = 1\ny = [" + b"1," * 2_500_000 + b"]\n", 2, "a line of 5000006 bytes", id="5 MB line"),
        pytest.param(b"x = 1\n\0\n", 2, "null byte", id="null byte"),
        pytest.param(b"x = 1\ny = '\xff\xfe'\n", 2, "not utf-8", id="not UTF-8"),
        pytest.param(b"# coding: klingon\nx = 1\n", 1, "klingon", id="unknown encoding"),
        pytest.param(nested_functions(1000), 101, "too many levels of indentation", id="1000 nested functions"),
        pytest.param(b"def f(:\n", 1, "invalid syntax", id="does not parse"),
        pytest.param(b"print 'two'\n", 1, "Missing parentheses", id="Python 2"),
        pytest.param(b"x = " + b"(" * 5000 + b")" * 5000, 1, "too many nested parentheses", id="parentheses"),
        pytest.param(b"x = " + b"-" * 200_000 + b"1\n", None, "nested too deeply", id="unary chain"),
        pytest.param(b"x = " + b"+".join([b"1"] * 50_000) + b"\n", None, "nested too deeply", id="sum of 50,000"),
        pytest.param(b"x = a" + b".b" * 50_000 + b"\n", None, "nested too deeply", id="attribute chain"),
    ],
)
def test_hostile_source_is_reported_and_costs_nothing_else(tmp_path: Path, content: bytes, line: int | None, reason: str) -> None:
    (unparsed,) = scan_beside_good(tmp_path, content).unparsed
    assert unparsed.file == "hostile.py"
    assert unparsed.line == line
    assert reason in unparsed.reason


@pytest.mark.parametrize("depth", [90, 400, 700, 950])
def test_an_expression_as_deep_as_the_parser_allows_is_read_or_reported(tmp_path: Path, depth: int) -> None:
    chain = b"+".join([b"queue"] * depth)
    source = b"from celery import shared_task\n@shared_task(queue=" + chain + b")\ndef deep(): pass\n"
    scan = scan_beside_good(tmp_path, source)
    found = [task.file for task in scan.tasks] + [entry.file for entry in scan.unparsed]
    assert "hostile.py" in found


def test_constants_that_double_one_another_do_not_fill_the_memory(tmp_path: Path) -> None:
    doubling = "\n".join(f"a{n + 1} = a{n} + a{n}" for n in range(55))
    source = f"from celery import shared_task\na0 = 'x'\n{doubling}\n@shared_task(name=a55)\ndef deep(): pass\n"
    (task,) = [task for task in scan_beside_good(tmp_path, source.encode()).tasks if task.file == "hostile.py"]
    assert (task.name, task.name_certain) == ("a55", False)


def test_names_that_go_in_circles_are_left_unsettled(tmp_path: Path) -> None:
    circles = b"from hostile import a as b\na = b\nb = a\nclass C(C): pass\n@d\ndef d(f): return d(f)\n"
    source = b"from celery import shared_task\n" + circles + b"@shared_task(name=a)\ndef t(): pass\n"
    (task,) = [task for task in scan_beside_good(tmp_path, source).tasks if task.file == "hostile.py"]
    assert not task.name_certain


def test_links_that_loop_are_reported_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.py").symlink_to(tmp_path / "self.py")
    scan = scan_beside_good(tmp_path, b"x = 1\n")
    assert [entry.file for entry in scan.unparsed] == ["inner/up", "self.py"]
    assert scan.totals.tasks == 1


def test_a_named_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert scan_path(tmp_path).unparsed == [Unparsed("pipe.py", None, "not a regular file")]


def test_nothing_of_the_scanned_project_is_run(tmp_path: Path) -> None:
    (tmp_path / "celery.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "migrate", "scan", str(tmp_path), "--format", "json"], capture_output=True, check=True
    )
    assert b'"files": 1' in run.stdout
    assert not (tmp_path / "ran").exists()
