"""Beat entries as entries of the runtime's scheduler."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from event_handlers.schedule import Schedule
from gateway.migrate import read_path
from gateway.migrate.generate.plan import plan_files

TASKS = """
from celery import Celery
from django.conf import settings

app = Celery("proj")


@app.task
def send(to, subject="none", *, copy=False):
    pass
"""
ENTRY = "app.conf.beat_schedule = {{'send': {{'task': 'proj.send', 'schedule': 3600, {}}}}}"


def entry_for(tmp_path: Path, line: str) -> str:
    (tmp_path / "proj.py").write_text(f"{TASKS}\n\n{line}\n", encoding="utf-8")
    return plan_files(read_path(tmp_path), source="proj").files["handlers/schedules.py"]


@pytest.mark.parametrize(
    ("line", "payload"),
    [
        (ENTRY.format(""), {}),
        (ENTRY.format("'args': ('a@x.org', 'hello')"), {"to": "a@x.org", "subject": "hello"}),
        (ENTRY.format("'args': ['a@x.org'], 'kwargs': {'copy': True}"), {"to": "a@x.org", "copy": True}),
        ("app.add_periodic_task(3600, send.s('a@x.org', copy=True))", {"to": "a@x.org", "copy": True}),
        ("app.add_periodic_task(3600, send, args=('a@x.org',))", {"to": "a@x.org"}),
        ("PeriodicTask.objects.create(task='proj.send', crontab=crontab(minute=0), args='[1]')", {"to": 1}),
    ],
)
def test_an_entry_brings_its_arguments_by_the_names_of_the_parameters(tmp_path: Path, line: str, payload: dict[str, object]) -> None:
    text = entry_for(tmp_path, line)
    (written,) = re.findall(r"^# proj_send_0 = (.*)$", text, re.MULTILINE)
    assert eval(written, {"Schedule": Schedule}) == Schedule("0 * * * *", "proj.send", payload, name="proj_send_0")
    assert "give the payload" not in text


@pytest.mark.parametrize(
    "line",
    [
        ENTRY.format("'args': (settings.ADMIN,)"),
        ENTRY.format("'args': (1, 2, 3)"),
        ENTRY.format("'kwargs': {**settings.MORE}"),
        "app.add_periodic_task(3600, send.s(settings.ADMIN))",
        "app.add_periodic_task(3600, send.s('a'), args=('b',))",
    ],
)
def test_arguments_that_are_not_certain_are_left_to_a_person(tmp_path: Path, line: str) -> None:
    text = entry_for(tmp_path, line)
    assert "TODO(migrate): give the payload; beat starts it with" in text
    assert 'Schedule("0 * * * *", \'proj.send\', name="proj_send_0")' in text
