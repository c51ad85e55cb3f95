"""Every example in the help of `dualrun` run as it stands, and every picture of the documents taken, of everything in one process."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.browser import DESKTOP, visiting
from tests.support.command_line import COMMANDS, Dualrun, dualrun_at, examples_of
from tests.support.processes import REPOSITORY, Process, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TASK = "order.send_order_confirmation"
ORDERS = range(40, 61)
PICTURES = {
    "console-tasks.png": ("/console/", TASK),
    "console-task.png": (f"/console/tasks/{TASK}", "/value/total"),
    "report.png": (f"/v1/reports/shadow/{TASK}?format=html", "/value/total"),
}
LONG_LIVED = {("run",), ("gateway",), ("comparator",), ("demo",)}
"""Other tests run these, and for longer."""
SOME_ID = "019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11"
SOME_FINGERPRINT = "0f3a9c1e5b7d2468"
SOURCE = 'from celery import shared_task\n\n\n@shared_task(name="billing.charge")\ndef charge(order_id: int) -> int:\n    return order_id\n'


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the examples expect theirs."""
    place = tmp_path_factory.mktemp("workplace")
    (place / "src").mkdir()
    (place / "src" / "tasks.py").write_text(SOURCE)
    (place / "config" / "rules").mkdir(parents=True)
    (place / "config" / "flags.yaml").write_text((REPOSITORY / "config" / "flags.yaml").read_text())
    return place


@pytest.fixture(scope="module")
def stack_url(workplace: Path) -> Iterator[str]:
    """With orders compared, and seven versions of the flags."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "gateway.cli.main", "run", "--port", str(port), "--state-dir", str(workplace / "state"), "--faulty"]
    with Process("dualrun run", command) as running, httpx.Client(base_url=url, timeout=20.0) as gateway:
        running.wait_for_output("Ctrl-C stops and drains")
        for percent in range(94, 101):
            flag = {"mode": "shadow", "shadow_percent": percent, "safety": "sandboxed"}
            gateway.put(f"/v1/flags/{TASK}", json=flag).raise_for_status()
        for order in ORDERS:
            gateway.post("/v1/tasks", json={"task": TASK, "args": [order, "ann@example.org"]}).raise_for_status()
        running.wait_until(lambda: compared(gateway) == len(ORDERS), "every order compared")
        yield url


def groups(gateway: httpx.Client) -> list[dict[str, str]]:
    found: list[dict[str, str]] = gateway.get("/v1/differences").json()["groups"]
    return found


def compared(gateway: httpx.Client) -> int:
    tasks = gateway.get(f"/v1/reports/shadow/{TASK}", params={"format": "json"}).json()["tasks"]
    return sum(sum(task["counts"].values()) for task in tasks)


def test_every_picture_can_be_taken_and_documents_show_no_other(stack_url: str, tmp_path: Path) -> None:
    folder = Path(os.environ.get("DUALRUN_PICTURES") or tmp_path)
    with visiting(stack_url, DESKTOP) as visit:
        for name, (path, shown) in PICTURES.items():
            visit.page.goto(path)
            expect(visit.page.get_by_text(shown).first).to_be_visible()
            visit.page.screenshot(path=folder / name)
    taken = {f"docs/images/{name}" for name in PICTURES}
    assert {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs" / "images").iterdir()} == taken


def test_every_example_does_what_its_help_says(stack_url: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    dualrun = dualrun_at(stack_url, columns=80)
    with httpx.Client(base_url=stack_url, timeout=20.0) as gateway:
        fingerprint = groups(gateway)[0]["fingerprint"]
        submission = gateway.get(f"/v1/differences/{fingerprint}").json()["group"]["samples"][0]["submission_id"]
    examples = [example for path in COMMANDS if path not in LONG_LIVED for example in examples_of(path)]
    assert len(examples) >= len(COMMANDS) - len(LONG_LIVED)
    assert fingerprint in dualrun("differences", "list", TASK).stdout
    for example in examples:
        run_example(dualrun, example.replace(SOME_ID, submission).replace(SOME_FINGERPRINT, fingerprint))


def run_example(dualrun: Dualrun, example: str) -> None:
    ended = dualrun(*shlex.split(example)[1:])
    said = f"{example}: {ended.exit_code}\n{ended.output}"
    assert ended.exception is None or isinstance(ended.exception, SystemExit), said
    assert "Usage:" not in ended.output, said
    # The one order's differences are what `report --fail-on` and the gate look for; nobody has dead letters here.
    refused_rightly = any(code in ended.output for code in ("not_found", "not_proven", "already_ended", "flag_held"))
    assert ended.exit_code in {0, 1} or refused_rightly, said
