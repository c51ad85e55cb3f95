"""The sample shop's Celery application as a stranger's scan sees it, held against what Celery itself registers."""

from __future__ import annotations

import importlib
from pathlib import Path

import legacy_celery
from gateway.migrate import scan_path
from legacy_celery.app import SERVICES, app
from legacy_celery.schedule import beat_schedule

SHOP = Path(legacy_celery.__file__).parent


def test_the_names_are_the_ones_celery_registers() -> None:
    for service in SERVICES:
        importlib.import_module(f"legacy_celery.tasks.{service}_tasks")
    served = {name for name, task in app.tasks.items() if task.__module__.startswith("legacy_celery.tasks.")}
    tasks = scan_path(SHOP).tasks
    assert {task.name for task in tasks} == served
    assert len(tasks) == 12
    assert all(task.name_certain for task in tasks)
    assert {task.name: task.options.get("max_retries") for task in tasks if task.uses_self_retry} == {
        "learning.flaky": 5,
        "payment.process_payment": 3,
    }


def test_the_schedule_is_found_once_though_two_settings_name_it() -> None:
    schedules = scan_path(SHOP).schedules
    assert [entry.task for entry in schedules] == [entry["task"] for entry in beat_schedule.values()]
    assert [entry.when for entry in schedules] == ["crontab(hour=0, minute=0)", "crontab(minute=0)"]


def test_routes_made_by_a_comprehension_are_settled() -> None:
    assert {route.task: route.route for route in scan_path(SHOP).routes} == app.conf.task_routes
