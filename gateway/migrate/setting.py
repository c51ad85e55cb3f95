"""Finds beat schedules and task routes, wherever a project writes its settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from itertools import chain

from dualrun.contracts import JsonValue
from gateway.migrate.beat_fixture import parsed_arguments
from gateway.migrate.call_site import task_of
from gateway.migrate.constant import Unsettled, evaluate, evaluate_or_text, text_of_expression
from gateway.migrate.finding import Route, Schedule
from gateway.migrate.name import FunctionNode, dotted, own_nodes
from gateway.migrate.project import Module, Place, Project, walk

__all__ = ["settings_of"]

_SCHEDULE = re.compile(r"(?:^|_|CELERY)beat_?schedule$", re.IGNORECASE)
_ROUTES = re.compile(r"^(?:\w*CELERY_)?(?:task_routes|routes)$", re.IGNORECASE)
_PLAIN_ROUTES = ("routes", "ROUTES")
_ROW_MAKERS = ("PeriodicTask", "create", "get_or_create", "update_or_create")
_OF_A_ROUTE = frozenset({"queue", "exchange", "exchange_type", "routing_key", "priority", "delivery_mode", "expires", "serializer"})
_MAX_NESTING = 12

Finding = Schedule | Route


def settings_of(module: Module, project: Project, names: dict[str, str]) -> Iterator[Finding]:
    """The module's schedule entries and routes. An entry that two settings share is given by each: the caller drops repeats."""
    reader = _Reader(project, names)
    for node, _, place in walk(project.place_of(module)):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from reader.assigned(target, value, place)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                yield from reader.assigned(target, value, place)
            case ast.Call():
                yield from reader.called(node, place)
                yield from reader.row(node, place)
            case ast.Dict(keys=keys, values=values):
                yield from reader.entry_anywhere(node, place)
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        yield from reader.setting(key.value, value, place)


class _Reader:
    def __init__(self, project: Project, names: dict[str, str]) -> None:
        self._project = project
        self._names = names
        self._known = frozenset(names.values())

    def entry_anywhere(self, node: ast.Dict, place: Place) -> Iterator[Schedule]:
        """An entry that a function or a list of templates makes a schedule of: a known task and when it is due."""
        keys = {key.value: value for key, value in zip(node.keys, node.values, strict=True) if isinstance(key, ast.Constant)}
        if "task" in keys and "schedule" in keys and self._task(keys["task"], place) in self._known:
            yield from self._entry(node, place, node.lineno)

    def row(self, call: ast.Call, place: Place) -> Iterator[Schedule]:
        """A row of django-celery-beat: `PeriodicTask.objects.create(task=..., crontab=...)` in a migration or elsewhere."""
        parts = dotted(call.func) or []
        if "PeriodicTask" not in parts or parts[-1] not in _ROW_MAKERS:
            return
        fields = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
        for given in ("defaults", "create_defaults"):
            match fields.get(given):
                case ast.Dict(keys=keys, values=values):
                    fields |= {str(key.value): value for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant)}
        when = next((fields[kind] for kind in ("crontab", "interval", "solar", "clocked") if kind in fields), None)
        if "task" in fields:
            args, kwargs = (parsed_arguments(given) for given in self._arguments(fields, place))
            due = None if when is None else self._when(when, place)
            yield Schedule(place.module.file, call.lineno, self._task(fields["task"], place), due, args, kwargs)

    def assigned(self, target: ast.expr, value: ast.expr, place: Place) -> Iterator[Finding]:
        """`conf.beat_schedule = {...}`, `CELERY_BEAT_SCHEDULE["name"] = {...}`."""
        if isinstance(target, ast.Subscript):
            name = _last_name(target.value)
            if _SCHEDULE.search(name):
                yield from self._entry(value, place, target.lineno)
            elif _is_routes(name):
                yield self._route(target.slice, value, place)
            elif isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                yield from self.setting(target.slice.value, value, place)
        else:
            yield from self.setting(_last_name(target), value, place)

    def setting(self, name: str, value: ast.expr, place: Place) -> Iterator[Finding]:
        """What a setting of that name holds."""
        if _SCHEDULE.search(name):
            yield from self._schedule(value, place, 0)
        elif _is_routes(name):
            yield from self._routes(value, place, 0)

    def called(self, call: ast.Call, place: Place) -> Iterator[Finding]:
        """`add_periodic_task`, and `update` of a configuration or of a schedule."""
        if not isinstance(call.func, ast.Attribute):
            return
        if call.func.attr == "add_periodic_task":
            yield from self._periodic(call, place)
        elif call.func.attr == "update":
            of_schedule = _SCHEDULE.search(_last_name(call.func.value)) is not None
            for keyword in call.keywords:
                if of_schedule and keyword.arg is not None:
                    yield from self._entry(keyword.value, place, keyword.value.lineno)
                else:
                    yield from self.setting(keyword.arg or "", keyword.value, place)
            for argument in call.args:
                yield from self.setting(_last_name(call.func.value), argument, place)

    def _periodic(self, call: ast.Call, place: Place) -> Iterator[Schedule]:
        given = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None}
        when = call.args[0] if call.args else given.get("schedule")
        what = call.args[1] if len(call.args) > 1 else given.get("sig")
        if when is not None and what is not None:
            task = task_of(what, place, self._project, self._names)
            args, kwargs = self._started_with(given, what, place)
            yield Schedule(place.module.file, call.lineno, task or text_of_expression(what), self._when(when, place), args, kwargs)

    def _started_with(self, given: Mapping[str, ast.expr], what: ast.expr, place: Place) -> tuple[JsonValue, JsonValue]:
        """The arguments of a signature or of its entry; source text where both give some, or a call whose parts are not followed."""
        args, kwargs = self._arguments(given, place)
        match what:
            case ast.Call(func=ast.Attribute(attr="s" | "si" as made), args=positional, keywords=keywords):
                words = ast.Dict([ast.Constant(word.arg) if word.arg else None for word in keywords], [word.value for word in keywords])
                own_args, own_kwargs = self._arguments({"args": ast.List(positional), "kwargs": words}, place)
                if made == "si" or args is kwargs is None:
                    return own_args, own_kwargs
                return text_of_expression(what), kwargs or own_kwargs
            case ast.Call(keywords=keywords) if keywords or what.args[1:]:
                return text_of_expression(what), None
        return args, kwargs

    def _arguments(self, fields: Mapping[str, ast.expr], place: Place) -> tuple[JsonValue, JsonValue]:
        """`args` and `kwargs` of an entry; None for one that is empty or not there."""
        found = [evaluate_or_text(self._project, fields[name], place) if name in fields else None for name in ("args", "kwargs")]
        return found[0] or None, found[1] or None

    def _schedule(self, value: ast.expr, place: Place, depth: int) -> Iterator[Schedule]:
        value, place = self._settled(value, place)
        if depth > _MAX_NESTING:
            return
        match value:
            case ast.Dict(keys=keys, values=values):
                for key, entry in zip(keys, values, strict=True):
                    if key is None:
                        yield from self._schedule(entry, place, depth + 1)
                    else:
                        yield from self._entry(entry, place, key.lineno)
            case ast.DictComp(value=entry):
                yield from self._entry(entry, place, value.lineno)
            case ast.Call(func=ast.Name(id="dict"), args=arguments, keywords=keywords):
                yield from chain.from_iterable(self._schedule(argument, place, depth + 1) for argument in arguments)
                yield from chain.from_iterable(self._entry(word.value, place, word.value.lineno) for word in keywords)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right) | ast.IfExp(body=left, orelse=right):
                yield from self._schedule(left, place, depth + 1)
                yield from self._schedule(right, place, depth + 1)
            case ast.Call(func=function):
                yield from self._made(function, place)

    def _made(self, function: ast.expr, place: Place) -> Iterator[Schedule]:
        """The entries in a function that returns a schedule, as far as they name their task."""
        full = self._project.full_name(function, place)
        node, where = (self._project.definition(full) if full else None) or (None, place)
        if not isinstance(node, FunctionNode):
            return
        inside = where.inside(node)
        entries = [part for part in own_nodes(node) if isinstance(part, ast.Dict)]
        for entry in sorted(entries, key=lambda part: part.lineno):
            tasks = [
                value for key, value in zip(entry.keys, entry.values, strict=True) if isinstance(key, ast.Constant) and key.value == "task"
            ]
            if tasks and self._is_settled(tasks[0], inside):
                yield from self._entry(entry, inside, entry.lineno)

    def _is_settled(self, expression: ast.expr, place: Place) -> bool:
        return self._task(expression, place) != text_of_expression(expression)

    def _entry(self, entry: ast.expr, place: Place, line: int) -> Iterator[Schedule]:
        file = place.module.file
        entry, place = self._settled(entry, place)
        fields: dict[str, ast.expr] = {}
        match entry:
            case ast.Dict(keys=keys, values=values):
                fields = {str(key.value): value for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant)}
            case ast.Call(func=ast.Name(id="dict"), keywords=keywords):
                fields = {keyword.arg: keyword.value for keyword in keywords if keyword.arg is not None}
        if "task" in fields or "schedule" in fields:
            when = self._when(fields["schedule"], place) if "schedule" in fields else None
            args, kwargs = self._arguments(fields, place)
            yield Schedule(file, line, self._task(fields.get("task"), place), when, args, kwargs)

    def _task(self, expression: ast.expr | None, place: Place) -> str | None:
        if expression is None:
            return None
        if isinstance(expression, ast.Attribute) and expression.attr == "name":
            task = task_of(expression.value, place, self._project, self._names)
            if task is not None:
                return task
        try:
            return str(evaluate(self._project, expression, place))
        except Unsettled:
            return text_of_expression(expression)

    def _when(self, expression: ast.expr, place: Place) -> str | float | None:
        settled, where = self._settled(expression, place)
        value = evaluate_or_text(self._project, settled, where)
        return value if isinstance(value, str | int | float) else text_of_expression(settled)

    def _routes(self, value: ast.expr, place: Place, depth: int) -> Iterator[Route]:
        value, place = self._settled(value, place)
        if depth > _MAX_NESTING:
            return
        match value:
            case ast.Dict(keys=keys, values=values):
                for key, route in zip(keys, values, strict=True):
                    if key is None:
                        yield from self._routes(route, place, depth + 1)
                    else:
                        yield self._route(key, route, place)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                # A router's path and then a dictionary of routes are two routers; a pattern and its route are one.
                pair = len(items) == 2 and isinstance(items[0], ast.Constant) and _is_route(items[1])
                if pair:
                    yield self._route(items[0], items[1], place)
                for item in [] if pair else items:
                    yield from self._routes(item, place, depth + 1)
            case _:
                yield from self._computed_routes(value, place)

    def _computed_routes(self, value: ast.expr, place: Place) -> Iterator[Route]:
        found = evaluate_or_text(self._project, value, place)
        if isinstance(found, dict):
            for task, route in found.items():
                yield Route(place.module.file, value.lineno, task, route)
        elif found is not None:
            yield Route(place.module.file, value.lineno, None, found)

    def _route(self, key: ast.expr, route: ast.expr, place: Place) -> Route:
        return Route(place.module.file, key.lineno, self._task(key, place), evaluate_or_text(self._project, route, place))

    def _settled(self, expression: ast.expr, place: Place) -> tuple[ast.expr, Place]:
        """The expression a name stands for, if it is one only."""
        if not isinstance(expression, ast.Name | ast.Attribute):
            return expression, place
        for names in place.scopes:
            if isinstance(expression, ast.Name) and len(names.values.get(expression.id, ())) == 1:
                return names.values[expression.id][0], place
        full = self._project.full_name(expression, place)
        values, where = self._project.values(full) if full else ([], place)
        return (values[0], where) if len(values) == 1 else (expression, place)


def _is_route(value: ast.expr) -> bool:
    """Where a task goes: `{"queue": ...}`, or the name of a queue; a dictionary of routes has dictionaries or names in it."""
    match value:
        case ast.Constant(value=str()):
            return True
        case ast.Dict(keys=keys):
            return all(isinstance(key, ast.Constant) and key.value in _OF_A_ROUTE for key in keys)
    return False


def _is_routes(name: str) -> bool:
    return name not in _PLAIN_ROUTES and bool(_ROUTES.match(name))


def _last_name(expression: ast.expr) -> str:
    match expression:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""
