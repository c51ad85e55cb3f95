"""Options of tasks as declarations of handlers."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.migrate import read_path
from gateway.migrate.generate.plan import plan_files

TASK = """
from celery import shared_task


@shared_task(autoretry_for=(OSError,), max_retries=3, {})
def send(to):
    print(to)
"""


@pytest.mark.parametrize(
    ("options", "declared"),
    [
        ("retry_backoff=True", "retry_delay_s=(1, 2, 4,), retry_jitter=True"),
        ("retry_backoff=5, retry_backoff_max=12", "retry_delay_s=(5, 10, 12,), retry_jitter=True"),
        ("retry_backoff=True, retry_jitter=False", "retry_delay_s=(1, 2, 4,)"),
        ("retry_jitter=True, default_retry_delay=7", "retry_delay_s=7"),
    ],
)
def test_a_backoff_is_waited_as_celery_waits_it(tmp_path: Path, options: str, declared: str) -> None:
    (tmp_path / "proj.py").write_text(TASK.format(options), encoding="utf-8")
    (module,) = plan_files(read_path(tmp_path), source="proj").modules
    assert module.difficulty == "ready"
    assert f"@handler('proj.send', max_attempts=4, retry_on=(OSError,), {declared})" in module.text


def test_options_of_a_base_class_are_not_lost_in_silence(tmp_path: Path) -> None:
    source = "from celery import Task, shared_task\n\n\nclass Patient(Task):\n    max_retries = 9\n    autoretry_for = (OSError,)\n\n\n"
    (tmp_path / "proj.py").write_text(f"{source}@shared_task(base=Patient)\ndef send(to):\n    print(to)\n", encoding="utf-8")
    (module,) = plan_files(read_path(tmp_path), source="proj").modules
    assert [decision.text for decision in module.decisions] == ["what base=Patient adds is not carried over: max_retries, autoretry_for"]


MAPPINGS = """
from celery import shared_task
from django.conf import settings
DEFAULTS = {"max_retries": 7}
MORE = {**DEFAULTS, "queue": "slow"}
CHANGED = {"max_retries": 7}
CHANGED["max_retries"] = 9
OF_ALL = {"mail": MORE}
NAME = "max_retries"
"""


@pytest.mark.parametrize(
    "written",
    ["**MORE", "**{**MORE}", "**dict(DEFAULTS, queue='slow')", "**(DEFAULTS | {'queue': 'slow'})", "**OF_ALL['mail']", "**{NAME: 7}"],
)
def test_a_mapping_that_can_be_read_gives_its_options(tmp_path: Path, written: str) -> None:
    source = f"{MAPPINGS}\n@shared_task(name='t', bind=True, {written})\ndef t(self): self.retry()\n"
    (tmp_path / "proj.py").write_text(source, encoding="utf-8")
    (module,) = plan_files(read_path(tmp_path), source="proj").modules
    assert module.source.task.options["max_retries"] == 7
    assert "**" not in module.source.task.options
    assert module.difficulty == "ready"
    assert "max_attempts=8" in module.text


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("**settings.OPTS", "**settings.OPTS"),
        ("**CHANGED", "**CHANGED"),
        ("**{**MORE, **settings.OPTS}", "**settings.OPTS"),
        ("**settings.A, **settings.B", "**{**settings.A, **settings.B}"),
        ("**{settings.NAME: 7}", "**{settings.NAME: 7}"),
    ],
)
def test_a_mapping_that_cannot_be_read_is_a_decision(tmp_path: Path, written: str, named: str) -> None:
    source = f"{MAPPINGS}\n@shared_task(name='t', bind=True, {written})\ndef t(self): self.retry()\n"
    (tmp_path / "proj.py").write_text(source, encoding="utf-8")
    plan = plan_files(read_path(tmp_path), source="proj")
    (module,) = plan.modules
    assert f"{named}: the source does not say which options these are" in plan.files["MIGRATION.md"].partition("## To decide")[2]
    assert ("max_attempts=8" in module.text) is ("MORE" in written)


@pytest.mark.parametrize(
    ("keyed", "attempts", "said"),
    [
        ("{'max_retries': settings.N}", 4, ["max_retries is settings.N"]),
        ("{'max_retries': 5, 'countdown': settings.WAIT}", 6, ["retry_kwargs waits countdown=settings.WAIT"]),
        ("{**DEFAULTS, 'queue': 'slow'}", 8, ["retry_kwargs gives queue=slow"]),
        ("settings.KEYED", 4, ["retry_kwargs gives **settings.KEYED"]),
        ("DEFAULTS", 8, []),
    ],
)
def test_arguments_of_automatic_retries_are_taken_one_by_one(tmp_path: Path, keyed: str, attempts: int, said: list[str]) -> None:
    source = f"{MAPPINGS}\n@shared_task(name='t', autoretry_for=(OSError,), retry_kwargs={keyed})\ndef t(): pass\n"
    (tmp_path / "proj.py").write_text(source, encoding="utf-8")
    (module,) = plan_files(read_path(tmp_path), source="proj").modules
    assert f"max_attempts={attempts}" in module.text
    assert [decision.text[: len(begin)] for decision, begin in zip(module.decisions, said, strict=True)] == said


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ("**settings.OPTS, **options", {"**": "settings.OPTS", "queue": "slow"}),
        ("**{**MORE, **options}", {"max_retries": 7, "queue": "slow"}),
        ("**options", {"queue": "slow"}),
    ],
)
def test_what_a_decorator_of_the_projects_adds_unread_is_not_lost(tmp_path: Path, given: str, options: dict[str, object]) -> None:
    source = f"{MAPPINGS}\ndef job(**options): return shared_task({given})\n@job(queue='slow')\ndef t(): pass\n"
    (tmp_path / "proj.py").write_text(source, encoding="utf-8")
    (module,) = plan_files(read_path(tmp_path), source="proj").modules
    assert module.source.task.options == options
    assert ("the source does not say which options" in module.text) is ("**" in options)
