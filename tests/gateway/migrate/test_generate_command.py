"""The commands as people type them, on projects made for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gateway.cli.migrate_command import app
from gateway.migrate import read_path, render_html, render_markdown, report_of
from gateway.migrate.generate.companion import cron_of
from gateway.migrate.generate.plan import plan_files

SOURCE = """
import time
import requests
from celery import shared_task
from celery.exceptions import Ignore, Reject

@shared_task(name="p.fetch", bind=True, max_retries=2)
def fetch(self, url, day=0):
    try:
        answer = requests.get(url, params={"id": 1}, timeout=5)
        answer.raise_for_status()
    except requests.HTTPError as exc:
        raise self.retry(exc=exc, countdown=1)
    time.sleep(day)
    return answer.json()

@shared_task(name="p.odd", bind=True)
def odd(self, what: "Thing", *rest):
    if what == "ignore":
        raise Ignore()
    if what == "reject":
        raise Reject("no", requeue=False)
    self.update_state(state="HALF")
    helper(self)
    fetch.delay("x")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "jobs.py").write_text(SOURCE, encoding="utf-8")
    return tmp_path / "src"


def test_the_one_line_form_says_first_and_writes_then(project: Path) -> None:
    output = project.parent / "event_driven"
    line = ["--source", str(project), "--output", str(output)]
    said = CliRunner().invoke(app, [*line, "--dry-run"])
    assert said.exit_code == 0
    assert "2 handlers" in said.output
    assert not output.exists()
    assert CliRunner().invoke(app, [*line, "--migrate"]).exit_code == 0
    assert {path.name for path in (output / "handlers").iterdir()} == {"__init__.py", "p_fetch.py", "p_odd.py"}


def test_a_changed_handler_is_shown_and_the_exit_code_says_so(project: Path) -> None:
    output = project.parent / "out"
    line = ["generate", str(project), "--output", str(output), "--task", "p.f*", "--format", "json"]
    first = json.loads(CliRunner().invoke(app, line).output)
    assert [handler["task"] for handler in first["handlers"]] == ["p.fetch"]
    (output / "handlers" / "p_fetch.py").write_text("mine = 1\n", encoding="utf-8")
    again = CliRunner().invoke(app, line)
    assert (again.exit_code, json.loads(again.output)["files"]["kept"]) == (0, ["handlers/p_fetch.py"])
    (project / "jobs.py").write_text(SOURCE.replace("day=0", "day=1"), encoding="utf-8")
    refused = CliRunner().invoke(app, line)
    assert refused.exit_code == 1
    assert "-mine = 1" in json.loads(refused.output)["files"]["refused"]["handlers/p_fetch.py"]
    assert (output / "handlers" / "p_fetch.py").read_text() == "mine = 1\n"


def test_no_task_that_fits_is_an_error(project: Path) -> None:
    found = CliRunner().invoke(app, ["generate", str(project), "--output", str(project / "out"), "--task", "q.*"])
    assert found.exit_code == 1
    assert "fits 'q.*'" in found.output


def test_what_has_no_counterpart_is_marked_where_it_stood(project: Path) -> None:
    (module,) = plan_files(read_path(project), source="p", task="p.odd").modules
    assert module.difficulty == "blocked"
    assert "helper is bound where the task is defined, or nowhere" in module.decisions[1].text
    assert [(decision.line, decision.blocks) for decision in module.decisions] == [
        (18, False),
        (18, True),
        (18, False),
        (20, False),
        (22, False),
        (23, False),
        (24, True),
    ]


async def test_http_is_awaited_when_it_is_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = plan_files(read_path(project), source="p", task="p.fetch", async_http=True).files["handlers/p_fetch.py"]
    assert "import requests" not in text
    assert "to_thread" not in text
    space: dict[str, object] = {}
    exec(compile(text.replace("from __future__ import annotations", ""), "p_fetch.py", "exec"), space)
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.method} {request.url}")
        return httpx.Response(200, json={"a": 1})

    client = httpx.AsyncClient
    monkeypatch.setattr(httpx, "AsyncClient", lambda **given: client(transport=httpx.MockTransport(answer), **given))
    assert await space["fetch"]("http://shop.example/x") == {"a": 1}  # type: ignore[operator]
    assert asked == ["GET http://shop.example/x?id=1"]


def test_reports_name_every_task_with_its_advice_and_escape_what_they_show(project: Path) -> None:
    (project / "more.py").write_text("from celery import shared_task\n@shared_task(name='<b>')\ndef b(): pass\n", encoding="utf-8")
    report = report_of(read_path(project))
    markdown, page = render_markdown(report), render_html(report)
    assert "### `p.fetch`" in markdown
    assert "- callers: jobs.py:25 delay" in markdown
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert report.order.index(["p.fetch"]) < report.order.index(["p.odd"])


@pytest.mark.parametrize(
    ("when", "cron"),
    [
        ("crontab(minute=0, hour=4)", "0 4 * * *"),
        ("crontab('*/5', '9-17', 'mon-fri')", "*/5 9-17 * * mon-fri"),
        ("timedelta(minutes=15)", "*/15 * * * *"),
        ("datetime.timedelta(days=1)", "0 0 * * *"),
        (3600, "0 * * * *"),
        (60.0, "* * * * *"),
        (7, None),
        ("timedelta(minutes=7)", None),
        ("crontab(**WHEN)", None),
        ("solar('sunset', 1, 2)", None),
    ],
)
def test_a_schedule_is_cron_only_where_cron_says_the_same(when: object, cron: str | None) -> None:
    assert cron_of(when) == cron


def test_deep_source_costs_its_handler_alone(tmp_path: Path) -> None:
    deep = "+".join(["a"] * 900)
    (tmp_path / "deep.py").write_text(
        f"from celery import shared_task\n@shared_task(name='deep')\ndef deep(a):\n    return {deep}\n{SOURCE}", encoding="utf-8"
    )
    run = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "migrate", "scan", str(tmp_path), "--format", "json"], capture_output=True, check=True
    )
    found = json.loads(run.stdout)
    assert found["totals"]["tasks"] in (0, 3)
    assert found["totals"]["tasks"] == len(found["advice"])
