"""What stands beside the handlers: flags, rules, schedules, test stubs and a summary."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence

import yaml

from dualrun.contracts import JsonValue
from gateway.migrate.finding import FoundParameter, Schedule
from gateway.migrate.generate.decision import Decision
from gateway.migrate.generate.inventory import GeneratedTask, Inventory
from gateway.migrate.generate.module import HandlerModule, event_type

__all__ = ["cron_of", "flags_text", "rules_text", "schedules_text", "summary_text", "test_text"]

_CRONTAB = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
_CRON = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_UNITS = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1, "weeks": 604_800}


def flags_text(tasks: Sequence[GeneratedTask]) -> str:
    """A flags file with every task in mode legacy."""
    # What is no event type is no task's name; as a pattern it would speak for others.
    named = [entry for entry in tasks if event_type(entry.task) == entry.task]
    lines = [
        "# Every task where it is today: on Celery. The safety class is what the source suggests; check it before anything is shadowed.",
        "version: 1",
        "flags:" if named else "flags: {}",
    ]
    for entry in named:
        lines.append(f"  # {entry.safety_reason}")
        lines.append(f"  {_yaml(entry.task)}: {{mode: legacy, safety: {entry.safety}}}")
    return "\n".join(lines) + "\n"


def rules_text(task: str, *, jittered: bool) -> str:
    """A rules file that hides nothing but `jittered` waits, and says how something would be."""
    given = 'ignore:\n  - {id: jitter, path: "/schedule/delays/[*]", owner: your-team, reason: each side waits a random part of its delay}'
    return "\n".join(
        [
            f"# What the two sides of {task} may do differently{'.' if jittered else ': nothing yet.'} A rule looks like this:",
            "#   ignore:",
            "#     - {id: made-at, path: /value/made_at, owner: your-team, reason: the time of the run}",
            given if jittered else "ignore: []",
            "",
        ]
    )


def _yaml(text: str) -> str:
    written: str = yaml.safe_dump(text, width=10_000, allow_unicode=True, default_style='"' if not re.fullmatch(r"[\w.]+", text) else None)
    return written.removesuffix("...\n").strip()


def cron_of(when: object) -> str | None:
    """The cron expression that ticks when a Celery schedule does; None where there is none, or source does not say."""
    if isinstance(when, int | float):
        return _every(float(when))
    try:
        call = ast.parse(str(when), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    match call:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments, keywords=keywords):
            given = _constants([*zip(_CRONTAB, arguments, strict=False), *((word.arg, word.value) for word in keywords)])
        case _:
            return None
    if given is None:
        return None
    if name == "crontab":
        return " ".join(str(given.get(field, "*")).replace(" ", "") for field in _CRON) if given.keys() <= set(_CRONTAB) else None
    if name == "timedelta":
        named = _constants([(word.arg, word.value) for word in call.keywords]) if not call.args else None
        if named is not None and named.keys() <= _UNITS.keys():
            return _every(sum(float(str(value)) * _UNITS[unit] for unit, value in named.items()))
    return None


def _constants(pairs: Iterable[tuple[str | None, ast.expr]]) -> dict[str, object] | None:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name is None or not isinstance(value, ast.Constant) or not isinstance(value.value, str | int | float):
            return None
        found[name] = value.value
    return found


def _every(seconds: float) -> str | None:
    minutes, rest = divmod(seconds, 60)
    if rest or minutes < 1:
        return None
    if minutes == 1:
        return "* * * * *"
    if minutes < 60 and not 60 % minutes:
        return f"*/{int(minutes)} * * * *"
    hours = minutes / 60
    if hours == 24:
        return "0 0 * * *"
    if hours == 1:
        return "0 * * * *"
    return f"0 */{int(hours)} * * *" if hours == int(hours) and hours < 24 and not 24 % hours else None


def schedules_text(schedules: Sequence[Schedule], parameters: Mapping[str, Sequence[FoundParameter]]) -> str:
    """A module of the schedules, each commented out: an event must not be published while beat still starts the task.

    `parameters` are those of each task that has a handler.
    """
    lines = [
        '"""Periodic tasks, as schedules of the runtime.',
        "",
        "Each is off: while beat starts its task, publishing it here too would run it twice. Take it out of beat, then put it in here.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from event_handlers.schedule import Schedule  # noqa: F401 - for those that are put in",
        "",
    ]
    for number, entry in enumerate(schedules):
        cron = cron_of(entry.when)
        lines += ["", f"# {entry.file}:{entry.line}: {entry.task}, {' '.join(str(entry.when).split())}"]
        if cron is None or entry.task is None:
            lines.append("# TODO(migrate): no cron expression says this, or the source does not say when it is due")
        else:
            variable = f"{re.sub(r'[^0-9a-z]+', '_', entry.task.lower()).strip('_')}_{number}"
            payload = _payload(entry, parameters.get(entry.task, ()))
            if payload is None:
                lines.append(f"# TODO(migrate): give the payload; beat starts it with args={entry.args!r}, kwargs={entry.kwargs!r}")
            lines.append("# TODO(migrate): give beat's timezone, if it is not UTC")
            given = f" {payload!r}," if payload else ""
            lines.append(f'# {variable} = Schedule("{cron}", {entry.task!r},{given} name="{variable}")')
    return "\n".join([*lines, ""])


def _payload(entry: Schedule, parameters: Sequence[FoundParameter]) -> dict[str, JsonValue] | None:
    """An entry's arguments by the names the task's parameters have; None where the source does not say all of them."""
    args, kwargs = entry.args or [], entry.kwargs or {}
    positional = [parameter.name for parameter in parameters if not (parameter.keyword_only or parameter.name.startswith("*"))]
    if not isinstance(args, list) or not isinstance(kwargs, dict) or len(args) > len(positional) or "**" in kwargs:
        return None
    return dict(zip(positional, args, strict=False)) | kwargs


def test_text(module: HandlerModule) -> str:
    """A test that holds what was carried over, and a place for what the handler must do."""
    parameters = [(parameter.name.lstrip("*"), parameter.required) for parameter in module.source.task.parameters]
    return "\n".join(
        [
            f'"""What the handler of `{module.source.task.name}` must do."""'.replace("\\", "\\\\"),
            "",
            "from __future__ import annotations",
            "",
            "import pytest",
            "",
            "from event_handlers import collect_handlers",
            "",
            f"from ..handlers import {module.name} as module",
            "",
            "",
            "def test_it_takes_what_the_task_took() -> None:",
            f"    handler = collect_handlers(module.__name__).find({event_type(module.source.task.name)!r})",
            "    assert handler is not None",
            f"    assert {{(parameter.name, parameter.required) for parameter in handler.parameters or ()}} == {_set(parameters)}",
            "",
            "",
            '@pytest.mark.skip(reason="TODO(migrate): give arguments, and what the task gives for them")',
            "def test_it_does_what_the_task_does() -> None:",
            "    raise NotImplementedError",
            "",
        ]
    )


def _set(pairs: list[tuple[str, bool]]) -> str:
    return "{" + ", ".join(map(repr, pairs)) + "}" if pairs else "set()"


def summary_text(inventory: Inventory) -> str:
    """What was done, and what is left to a person."""
    tasks = inventory.in_order
    counts = {kind: sum(task.difficulty == kind for task in tasks) for kind in ("ready", "needs decisions", "blocked")}
    lines = [
        f"# Handlers generated from {', '.join(inventory.sources)}",
        "",
        f"{len(tasks)} handlers: "
        + ", ".join(f"{count} {kind}" for kind, count in counts.items())
        + f". {len(inventory.schedules)} schedules.",
        "",
        "A handler that is blocked raises until its decisions are made. One that needs decisions runs, and does something else than",
        "the task in the points its comments name. Every flag is in mode `legacy`: nothing changes until you change one.",
        "",
        "| task | handler | difficulty | runs in | suggested safety |",
        "|---|---|---|---|---|",
    ]
    for task in tasks:
        runs_in = "a thread" if task.in_thread else "the loop"
        lines.append(f"| `{task.task}` | handlers/{task.module}.py | {task.difficulty} | {runs_in} | {task.safety} |")
    lines += _section("To decide", [_point(task, decision) for task in tasks for decision in task.decisions])
    lines += _section("Options that were not carried over", [f"`{task.task}`: {note}" for task in tasks for note in task.notes])
    sources = inventory.sources.values()
    lines += _section("Without a handler", [f"`{name}`: another task has this name" for source in sources for name in source.repeated])
    lines += _section(
        "Routers that are code",
        [f"{route.file}:{route.line}: `{' '.join(str(route.route).split())}`" for source in sources for route in source.routers],
        "What they decide is only known when they run; an event goes to whoever serves its type.",
    )
    lines += _section("Files that were not read", [f"{entry.file}: {entry.reason}" for source in sources for entry in source.unparsed])
    return "\n".join(lines) + "\n"


def _section(title: str, points: Sequence[str], about: str = "") -> list[str]:
    told = [about, ""] if about else []
    return ["", f"## {title}", "", *told, *(f"- {point}" for point in points)] if points else []


def _point(task: GeneratedTask, decision: Decision) -> str:
    return f"`{task.task}` ({task.file}:{decision.line}{', blocks' if decision.blocks else ''}): {decision.text}"
