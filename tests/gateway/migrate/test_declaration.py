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
