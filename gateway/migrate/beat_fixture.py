"""Rows of django-celery-beat in fixtures: schedules a project loads into its database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from dualrun.contracts import JsonValue
from gateway.migrate.finding import Schedule
from gateway.migrate.source import is_own

__all__ = ["fixture_schedules", "parsed_arguments"]

_MODEL = "django_celery_beat.periodictask"
_MAX_BYTES = 4_000_000
_KINDS = ("crontab", "interval", "solar", "clocked")
_WHEN = {
    "crontabschedule": ("minute", "hour", "day_of_week", "day_of_month", "month_of_year"),
    "intervalschedule": ("every", "period"),
    "solarschedule": ("event", "latitude", "longitude"),
    "clockedschedule": ("clocked_time",),
}


class _Row(msgspec.Struct):
    model: str = ""
    pk: object = None
    fields: dict[str, object] = {}


def fixture_schedules(path: Path) -> Iterator[Schedule]:
    """The periodic tasks in the JSON fixtures under `path`; what is no such fixture is passed over."""
    for file in sorted(path.rglob("fixtures/**/*.json")) if path.is_dir() else ():
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= _MAX_BYTES and is_own(file, path):
            data = file.read_bytes()
            if _MODEL.encode() in data.lower():
                yield from _rows(data, file.relative_to(path).as_posix())


def _rows(data: bytes, file: str) -> Iterator[Schedule]:
    try:
        rows = msgspec.json.decode(data, type=list[_Row])
    except msgspec.MsgspecError:
        return
    schedules = {(row.model.lower().rpartition(".")[2], row.pk): row.fields for row in rows}
    at = 0
    for row in rows:
        task = row.fields.get("task")
        if row.model.lower() != _MODEL or not isinstance(task, str):
            continue
        # Twice the same task: each is looked for after the one before.
        at = max(data.find(msgspec.json.encode(task), at + 1), at)
        args, kwargs = parsed_arguments(row.fields.get("args")), parsed_arguments(row.fields.get("kwargs"))
        yield Schedule(file, data.count(b"\n", 0, at) + 1, task, _when(row.fields, schedules), args, kwargs)


def parsed_arguments(given: object) -> JsonValue:
    """The arguments in a row's JSON text; the text itself where it is none, and None where there are none."""
    if not isinstance(given, str):
        return None
    try:
        found: JsonValue = msgspec.json.decode(given)
    except msgspec.MsgspecError:
        return given or None
    return found or None


def _when(fields: dict[str, object], schedules: dict[tuple[str, object], dict[str, object]]) -> str | None:
    kind = next((kind for kind in _KINDS if fields.get(kind) is not None), None)
    if kind is None:
        return None
    found = schedules.get((f"{kind}schedule", fields[kind]))
    if found is None:
        return f"{kind} {fields[kind]}"
    return f"{kind}({', '.join(f'{name}={found[name]!r}' for name in _WHEN[f'{kind}schedule'] if name in found)})"
