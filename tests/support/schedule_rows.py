"""Rows of django-celery-beat, written with its models by a process of its own: a test process may have set Django up in another way."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tests.support.processes import REPOSITORY

if TYPE_CHECKING:
    from django_celery_beat.models import PeriodicTask

__all__ = ["SavedEntry", "ScheduleRows", "schedule_rows"]

PROJECT = REPOSITORY / "tests" / "fixtures" / "django_shop"


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """What the database has about one entry."""

    enabled: bool
    total_run_count: int
    last_run_at: datetime | None


class ScheduleRows:
    """The entries of one database, and what a process needs that is to read them."""

    def __init__(self, database_url: str, editor: ProcessPoolExecutor) -> None:
        self.environment: Mapping[str, str] = _environment(database_url)
        self._editor = editor

    def add(self, name: str, task: str, kind: str, timing: Mapping[str, object], **members: object) -> None:
        """An entry with a schedule of a kind (`interval`, `crontab`, `clocked`, `solar`)."""
        self._editor.submit(_add, name, task, kind, timing, members).result(60)

    def change(self, name: str, timing: Mapping[str, object] | None = None, /, **members: object) -> None:
        """Save an entry with other members, and its schedule with another timing, in one transaction, as Django's admin does."""
        self._editor.submit(_change, name, timing, members).result(60)

    def saved(self, name: str) -> SavedEntry:
        """An entry as it is in the database now."""
        return self._editor.submit(_saved, name).result(60)


@contextmanager
def schedule_rows(database_url: str) -> Iterator[ScheduleRows]:
    """The tables of django-celery-beat in an empty database: `sqlite:///path` or `postgresql://...`."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=_set_up, initargs=(_environment(database_url),)) as editor:
        yield ScheduleRows(database_url, editor)


def _environment(database_url: str) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "shopsite.settings",
        "SHOPSITE_DATABASE_URL": database_url,
        "PYTHONPATH": os.pathsep.join((str(PROJECT), str(REPOSITORY))),
    }


# --- in the process of its own ---


def _set_up(environment: dict[str, str]) -> None:
    os.environ.update(environment)
    sys.path.insert(0, str(PROJECT))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def _add(name: str, task: str, kind: str, timing: Mapping[str, object], members: Mapping[str, object]) -> None:
    from django.db import transaction
    from django_celery_beat import models

    with transaction.atomic():
        schedule = getattr(models, f"{kind.capitalize()}Schedule").objects.create(**timing)
        models.PeriodicTask.objects.create(name=name, task=task, **{kind: schedule}, **members)


def _change(name: str, timing: Mapping[str, object] | None, members: Mapping[str, object]) -> None:
    from django.db import transaction

    # Beat is told of a change before the row is saved, and again after that: in one transaction it hears of both at once.
    with transaction.atomic():
        entry = _entry(name)
        for member, value in (timing or {}).items():
            setattr(entry.scheduler, member, value)
        if timing:
            entry.scheduler.save()
        for member, value in members.items():
            setattr(entry, member, value)
        if members:
            entry.save()


def _saved(name: str) -> SavedEntry:
    entry = _entry(name)
    return SavedEntry(enabled=entry.enabled, total_run_count=entry.total_run_count, last_run_at=entry.last_run_at)


def _entry(name: str) -> PeriodicTask:
    from django_celery_beat.models import PeriodicTask

    return PeriodicTask.objects.get(name=name)
