"""A Celery task's options as a handler's declaration: same limits, same waits, and what has no counterpart said in words."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from dualrun.contracts import JsonValue
from gateway.migrate.constant import evaluate_or_text, text_of_expression
from gateway.migrate.generate.decision import Decision
from gateway.migrate.generate.needed import import_of
from gateway.migrate.generate.own_name import OwnNames
from gateway.migrate.option import UNREAD, Option, Options, read_mapping
from gateway.migrate.project import Place, Project
from gateway.migrate.task_finder import TaskSource

__all__ = ["Declaration", "declare"]

# Celery's own defaults: celery.app.task.Task, celery.app.autoretry.
_MAX_RETRIES, _DELAY_S, _BACKOFF_MAX_S = 3, 180, 600
_BACKOFF = ("retry_backoff", "retry_backoff_max", "retry_jitter", "retry_kwargs", "dont_autoretry_for")
_WITHOUT_MEANING: Mapping[str, str] = {
    "ignore_result": "a handler's value goes to its outcome only",
    "acks_late": "an event is always acknowledged after it was handled",
    "reject_on_worker_lost": "an event whose worker died is always delivered again",
    "acks_on_failure_or_timeout": "a failed event is always settled",
    "track_started": "there is no started state",
    "store_errors_even_if_ignored": "errors are in the outcome",
    "trail": "spans tell which task called which",
    "send_events": "spans and outcomes take the place of Celery's events",
    "queue": "events are bound to their service's queue",
    "routing_key": "the event's type is its routing key",
    "exchange": "all events go through one exchange",
    "typing": "a payload is always checked",
    "throws": "it only chose how Celery logs these errors",
    "serializer": "events are JSON",
    "compression": "events are not compressed",
    "shared": "handlers belong to no application",
    "lazy": "handlers belong to no application",
    "name": "", "bind": "", "base": "", "autoretry_for": "", "max_retries": "", "default_retry_delay": "", "time_limit": "",
    "soft_time_limit": "", "run_every": "",
}  # fmt: skip
_DECIDE: Mapping[str, str] = {
    "rate_limit": "Celery slows this task to rate_limit={}; the runtime has no rate limit, only the worker's concurrency",
    "priority": "Celery sends this task with priority={}; events have none",
    "expires": "Celery lets this task expire after expires={}; a submission's own `expires` does that here",
}


@dataclass(slots=True)
class Declaration:
    """What stands in `@handler(...)`, and what could not."""

    keywords: dict[str, str] = field(default_factory=dict)
    """Source text by keyword."""
    dont_retry: str | None = None
    """Errors that end it whatever is retried."""
    delay_s: str = str(_DELAY_S)
    """What Celery waits where a retry says nothing."""
    notes: list[str] = field(default_factory=list)
    """Options without a meaning here, and those Celery itself ignores."""
    decisions: list[Decision] = field(default_factory=list)


def declare(source: TaskSource, project: Project, own: OwnNames) -> Declaration:
    """The declaration for a task's options."""
    made = Declaration()
    options, values, line = source.options, source.task.options, source.task.line
    automatic = "autoretry_for" in options and values.get("autoretry_for") not in ([], None)
    if automatic or source.task.uses_self_retry:
        _attempts(made, source, project, own)
    if automatic:
        _automatic(made, source, project, own)
    elif source.task.uses_self_retry:
        made.keywords["retry_delay_s"] = made.delay_s
    if not automatic:
        made.notes += [f"{name}: Celery ignores it without autoretry_for" for name in _BACKOFF if name in options]
    _time_limits(made, options, values, line)
    for name, option in options.items():
        _other(made, name, _text(option), values, line)
    return made


def _text(option: Option) -> str:
    return text_of_expression(option.value)


def _attempts(made: Declaration, source: TaskSource, project: Project, own: OwnNames) -> None:
    options, values, line = source.options, source.task.options, source.task.line
    keyed = _retry_kwargs(source, project) if "autoretry_for" in options else {}
    maximum: JsonValue = keyed.get("max_retries", values.get("max_retries", _MAX_RETRIES))
    if maximum is None:
        made.keywords["max_attempts"] = f"{own.use('sys')}.maxsize"
    elif isinstance(maximum, int | float):
        made.keywords["max_attempts"] = str(max(0, int(maximum)) + 1)
    else:
        made.keywords["max_attempts"] = str(_MAX_RETRIES + 1)
        made.decisions.append(Decision(line, f"max_retries is {maximum}: the source does not say how many; Celery's default stands here"))
    delay: JsonValue = values.get("default_retry_delay", _DELAY_S)
    if isinstance(delay, int | float):
        made.delay_s = str(delay)
    else:
        made.decisions.append(
            Decision(line, f"default_retry_delay is {delay}: the source does not say how long; Celery's default stands here")
        )


def _retry_kwargs(source: TaskSource, project: Project) -> dict[str, JsonValue]:
    """What every automatic retry is given: values where they are settled, else their source text."""
    given = source.options.get("retry_kwargs")
    read = read_mapping(given.value, given.place, project) if given is not None else {}
    return {name: evaluate_or_text(project, option.value, option.place) for name, option in read.items()}


def _automatic(made: Declaration, source: TaskSource, project: Project, own: OwnNames) -> None:
    options, values, line = source.options, source.task.options, source.task.line
    made.keywords["retry_on"] = _as_tuple(options["autoretry_for"], project, own)
    if "dont_autoretry_for" in options:
        made.dont_retry = _caught(options["dont_autoretry_for"], project, own)
    keyed = _retry_kwargs(source, project)
    countdown = keyed.pop("countdown", None)
    if isinstance(countdown, int | float):
        made.delay_s = str(countdown)
    elif countdown is not None:
        made.decisions.append(Decision(line, f"retry_kwargs waits countdown={countdown}: the source does not say how long"))
    made.decisions += [
        Decision(line, f"retry_kwargs gives {UNREAD if name == UNREAD else f'{name}='}{value}: it has no counterpart, or is not known")
        for name, value in keyed.items()
        if name not in ("max_retries", "throw")
    ]
    backoff = values.get("retry_backoff", False)
    if not backoff:
        made.keywords["retry_delay_s"] = made.delay_s
        return
    if not isinstance(backoff, bool | int | float):
        made.decisions.append(Decision(line, f"retry_backoff is {backoff}: the source does not say how much; 1 second stands here"))
    factor = int(max(1.0, backoff)) if isinstance(backoff, bool | int | float) else 1
    ceiling = values.get("retry_backoff_max", _BACKOFF_MAX_S)
    most = int(ceiling) if isinstance(ceiling, int | float) else _BACKOFF_MAX_S
    attempts = made.keywords["max_attempts"]
    made.keywords["retry_delay_s"] = _waits(factor, most, int(attempts) - 1 if attempts.isdecimal() else 32)
    jitter = values.get("retry_jitter", True)
    if not isinstance(jitter, bool):
        made.decisions.append(Decision(line, f"retry_jitter is {jitter}: the source does not say whether; a random part is waited"))
    if jitter:
        made.keywords["retry_jitter"] = "True"


def _waits(factor: int, most: int, retries: int) -> str:
    """`get_exponential_backoff_interval` without its jitter, until it no longer grows."""
    waits: list[int] = []
    for retry in range(max(1, min(retries, 32))):
        waits.append(min(most, factor * 2**retry))
        if waits[-1] == most:
            break
    return f"({', '.join(map(str, waits))},)"


def _as_tuple(option: Option, project: Project, own: OwnNames) -> str:
    """Exception classes as `isinstance` takes them: Celery makes a tuple of what it is given, whatever that is."""
    expression = option.value
    match expression:
        case ast.Tuple() | ast.List() | ast.Set():
            return _written(ast.Tuple(expression.elts, ast.Load()), option, own)
    written = _written(expression, option, own)
    if _is_class(option, project):
        return f"({written},)"
    return written if _is_tuple(option, project) else f"tuple({written})"


def _caught(option: Option, project: Project, own: OwnNames) -> str:
    """Exception classes as `except` takes them."""
    match option.value:
        case ast.Tuple(elts=[only]) | ast.List(elts=[only]) | ast.Set(elts=[only]):
            return _written(only, option, own)
    return _written(option.value, option, own) if _is_class(option, project) else _as_tuple(option, project, own)


def _is_class(option: Option, project: Project) -> bool:
    full = project.full_name(option.value, option.place)
    defined = project.definition(full) if full else None
    named = option.value.id if isinstance(option.value, ast.Name) and full is None else ""
    return defined is not None or isinstance(getattr(builtins, named, None), type)


def _is_tuple(option: Option, project: Project) -> bool:
    full = project.full_name(option.value, option.place)
    values, _ = project.values(full) if full else ([], None)
    return len(values) == 1 and isinstance(values[0], ast.Tuple)


def _written(expression: ast.expr, option: Option, own: OwnNames) -> str:
    """An option's expression where the task's function is: names of another module come from there."""
    return _Borrowing(option.place, own).text_of(expression)


class _Borrowing(ast.NodeTransformer):
    """Puts what is imported for the purpose in place of another module's names."""

    def __init__(self, place: Place, own: OwnNames) -> None:
        self._place = place
        self._own = own

    def text_of(self, expression: ast.expr) -> str:
        if self._place.module.text == self._own.text:
            return ast.unparse(expression)
        return ast.unparse(self.visit(ast.parse(ast.unparse(expression), mode="eval")))

    def visit_Name(self, node: ast.Name) -> ast.Name:
        needed = import_of(node.id, self._place)
        if needed is None:
            return node
        statement = re.sub(rf"(?: as {node.id})?$", " as {}", needed.statement)
        plain = re.fullmatch(r"import [\w.]+\.[\w.]+ as {}", statement)
        return ast.Name(
            self._own.add(f"option_{node.id}", node.id, f"option_{node.id}", needed.statement if plain else statement), ast.Load()
        )


def _time_limits(made: Declaration, options: Options, values: Mapping[str, JsonValue], line: int) -> None:
    given = [name for name in ("soft_time_limit", "time_limit") if name in options and values.get(name) is not None]
    numbers = [value for name in given if isinstance(value := values[name], int | float) and value > 0]
    if numbers:
        made.keywords["time_limit_s"] = str(max(numbers))
    if given:
        texts = ", ".join(f"{name}={values[name]}" for name in given)
        made.decisions.append(
            Decision(line, f"{texts}: here the handler is cancelled at time_limit_s, and work it has in a thread goes on to its end")
        )


def _other(made: Declaration, name: str, text: str, values: Mapping[str, JsonValue], line: int) -> None:
    if name == "serializer" and values.get(name) not in ("json", None):
        made.decisions.append(Decision(line, f"serializer={text}: only JSON crosses the gateway; arguments must have a JSON form"))
    elif name == UNREAD:
        made.decisions.append(Decision(line, f"**{text}: the source does not say which options these are; none of them is carried over"))
    elif name in _DECIDE:
        made.decisions.append(Decision(line, _DECIDE[name].format(values.get(name))))
    elif name in _WITHOUT_MEANING:
        if reason := _WITHOUT_MEANING[name]:
            made.notes.append(f"{name}: {reason}")
    elif name not in _BACKOFF:
        made.notes.append(f"{name}: no option of Celery; it only became an attribute of the task")
