"""What makes a function a task: Celery's decorators, whatever the project calls them, and the project's own wrapped around them."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gateway.migrate.name import FunctionNode, dotted, own_nodes, parameter_nodes
from gateway.migrate.option import UNREAD, Option, Options, joined, read_mapping
from gateway.migrate.project import Place, Project

__all__ = ["Maker", "Makers", "Option", "Options", "inherits", "is_task_class"]

_DECORATORS = frozenset(
    {
        "celery.shared_task", "celery.app.shared_task", "celery.task", "celery.task.task", "celery.decorators.task",
        "celery.task.base.task", "celery.periodic_task", "celery.task.periodic_task", "celery.decorators.periodic_task",
    }
)  # fmt: skip
_METHODS = frozenset({"task", "periodic_task"})
_APP = re.compile(r"celery|app$|^app", re.IGNORECASE)
_CELERY_CLASSES = frozenset({"celery.Celery", "celery.app.Celery", "celery.app.base.Celery"})
_CURRENT_APPS = frozenset({"celery.current_app", "celery._state.current_app", "celery.app.current_app"})
# Their decorators read like Celery's, and are not.
_OTHER_QUEUES = frozenset(
    {"procrastinate", "huey", "dramatiq", "invoke", "arq", "taskiq", "prefect", "airflow", "rocketry", "typer", "locust"}
)
_MAX_WRAPPERS = 12


@dataclass(frozen=True, slots=True)
class Maker:
    """A decorator that makes tasks."""

    options: Options = field(default_factory=dict)
    wrapper: str | None = None
    """Full name of the project's own decorator around Celery's."""
    fixed: bool = False
    """A wrapper without `**kwargs`: keywords it does not forward are no options."""
    consumed: frozenset[str] = frozenset()
    """Keywords a wrapper keeps for itself."""
    positions: tuple[str, ...] = ()
    """A wrapper's parameters that may be given by position."""
    passed_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The options a wrapper's parameter becomes, where they are called otherwise."""

    def called(self, keywords: list[ast.keyword], place: Place, project: Project, args: Sequence[ast.expr] = ()) -> Maker:
        """The maker after a call."""
        given = {name: Option(value, place) for name, value in zip(self.positions, args, strict=False)}
        for name, option in _keywords(keywords, place, project).items():
            given |= dict.fromkeys(self.passed_on.get(name, (name,)), option)
        for name in self.positions[: len(args)]:
            given |= dict.fromkeys(self.passed_on.get(name, ()), given[name])
        made = frozenset[str]().union(*self.passed_on.values())
        kept = {
            name: option
            for name, option in given.items()
            if name == UNREAD or name in self.options or name in made or not (self.fixed or name in self.consumed)
        }
        return replace(self, options=joined(self.options, kept))


class Makers:
    """Recognises makers, and remembers the project's own."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._wrappers: dict[str, Maker | None] = {}
        self._open: set[str] = set()

    def maker_of(self, expression: ast.expr, place: Place, depth: int = 0) -> Maker | None:
        """The maker a decorator expression stands for, with the options given; None where it makes no task."""
        if depth > _MAX_WRAPPERS:
            return None
        if not isinstance(expression, ast.Call):
            return self._named(expression, place, depth)
        if self._project.full_name(expression.func, place) == "functools.partial" and expression.args:
            maker = self.maker_of(expression.args[0], place, depth + 1)
        else:
            maker = self.maker_of(expression.func, place, depth + 1)
        is_partial = maker is not None and self._project.full_name(expression.func, place) == "functools.partial"
        return maker.called(expression.keywords, place, self._project, [] if is_partial else expression.args) if maker else None

    def _named(self, expression: ast.expr, place: Place, depth: int) -> Maker | None:
        full = self._project.full_name(expression, place)
        if full in _DECORATORS:
            return Maker()
        if full is not None:
            if (defined := self._project.definition(full)) is not None:
                node, where = defined
                return None if isinstance(node, ast.ClassDef) else self._wrapper(full, node, where, depth)
            values, where = self._project.values(full)
            if not values:
                values = [
                    value
                    for names in place.scopes
                    for value in names.values.get(full.rpartition(".")[2], ())
                    if full.startswith(names.prefix)
                ]
                where = place
            owner, _, last = full.rpartition(".")
            if last in _METHODS and isinstance(expression, ast.Name) and self._names_app(owner, depth):
                return Maker()
            for value in values:
                if value is not expression and (maker := self.maker_of(value, where, depth + 1)) is not None:
                    return maker
        if isinstance(expression, ast.Attribute) and expression.attr in _METHODS and self.is_app(expression.value, place):
            return Maker()
        return None

    def is_app(self, expression: ast.expr, place: Place, depth: int = 0) -> bool:
        """Whether an expression is a Celery application, as far as source shows; else by what it is called."""
        if depth > _MAX_WRAPPERS:
            return False
        if isinstance(expression, ast.Call):
            return self._makes_app(expression, place, depth)
        parts = dotted(expression)
        if parts is None:
            return False
        full = self._project.full_name(expression, place)
        if full is None:
            return bool(_APP.search(parts[-1]))
        return self._names_app(full, depth)

    def _names_app(self, full: str, depth: int) -> bool:
        if full in _CURRENT_APPS:
            return True
        called = bool(_APP.search(full.rpartition(".")[2]))
        module, rest = self._project.split(full)
        if module is None:
            return full.partition(".")[0] not in _OTHER_QUEUES and full != "celery" and called
        if not rest or self._project.definition(full) is not None:
            return False
        values, where = self._project.values(full)
        made = [value for value in values if not isinstance(value, ast.Constant)]
        # What is looked up (`registry["celery.app"]`) says nothing of itself: its name does.
        opaque = all(not isinstance(value, ast.Call) and dotted(value) is None for value in made)
        return called if opaque else any(self.is_app(value, where, depth + 1) for value in made)

    def _makes_app(self, call: ast.Call, place: Place, depth: int) -> bool:
        full = self._project.full_name(call.func, place)
        if full is None:
            return bool(_APP.search((dotted(call.func) or [""])[-1]))
        if full in _CELERY_CLASSES or inherits(self._project, full, _CELERY_CLASSES):
            return True
        defined = self._project.definition(full)
        node, where = defined or (None, place)
        if isinstance(node, FunctionNode):
            inner = where.inside(node)
            calls = [part for part in own_nodes(node) if isinstance(part, ast.Call)]
            return "celery" in node.name.lower() or any(self._makes_app(part, inner, depth + 1) for part in calls if depth < _MAX_WRAPPERS)
        return full.partition(".")[0] not in _OTHER_QUEUES and "celery" in full.rpartition(".")[2].lower()

    def _wrapper(self, full: str, node: FunctionNode, where: Place, depth: int) -> Maker | None:
        if full not in self._wrappers:
            if full in self._open:
                return None
            self._open.add(full)
            self._wrappers[full] = self._read_wrapper(full, node, where, depth)
            self._open.discard(full)
        return self._wrappers[full]

    def _read_wrapper(self, full: str, node: FunctionNode, where: Place, depth: int) -> Maker | None:
        maker = self._returned(node, where.inside(node), depth, {}) or self._registering(node, where.inside(node), depth)
        if maker is None:
            return None
        parameters = {parameter.arg for parameter in parameter_nodes(node.args)}
        defaults = _defaults(node)
        options: Options = {}
        for name, option in maker.options.items():
            given = option.value.id if isinstance(option.value, ast.Name) else None
            if given not in parameters:
                options[name] = option
            elif given in defaults and option.place.module is where.module:
                options[name] = Option(defaults[given], where)
        options |= {name: Option(value, where) for name, value in _set_defaults(node).items()}
        forwarded = {name for name, option in maker.options.items() if isinstance(option.value, ast.Name) and option.value.id == name}
        passed_on: dict[str, set[str]] = {}
        for name, option in maker.options.items():
            if isinstance(option.value, ast.Name) and option.value.id in parameters and option.place.module is where.module:
                passed_on.setdefault(option.value.id, set()).add(name)
        return Maker(
            _without(options, parameters),
            full,
            fixed=node.args.kwarg is None and not forwarded,
            consumed=frozenset(parameters - forwarded),
            positions=tuple(parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)),
            passed_on={name: frozenset(options) for name, options in passed_on.items()},
        )

    def _returned(self, node: FunctionNode, inside: Place, depth: int, outer: dict[str, ast.expr]) -> Maker | None:
        """The maker whose result a function returns: at once, by name, or from the function it returns."""
        made = dict(outer)
        nested: dict[str, FunctionNode] = {}
        for part in own_nodes(node):
            match part:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    made[name] = value
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    nested[part.name] = part
        for part in own_nodes(node):
            if not isinstance(part, ast.Return) or part.value is None:
                continue
            value = part.value
            if isinstance(value, ast.Name):
                if (inner := nested.get(value.id)) is not None:
                    return self._returned_function(inner, inside, depth, made)
                value = made.get(value.id, value)
            if isinstance(value, ast.Call | ast.Attribute) and (maker := self.maker_of(value, inside, depth + 1)) is not None:
                return maker
        return None

    def _registering(self, node: FunctionNode, inside: Place, depth: int, outer: frozenset[str] = frozenset()) -> Maker | None:
        """The maker a decorator calls with what it decorates, and whose result it drops: the task is made as it is registered."""
        if depth > _MAX_WRAPPERS:
            return None
        own = outer | {parameter.arg for parameter in parameter_nodes(node.args)}
        for part in own_nodes(node):
            match part:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    if (maker := self._registering(part, inside.inside(part), depth + 1, own)) is not None:
                        return maker
                case ast.Call(func=function, args=[ast.Name(id=decorated)]) if decorated in own and not _same_name(function, node):
                    if (maker := self.maker_of(function, inside, depth + 1)) is not None:
                        return maker
        return None

    def _returned_function(self, inner: FunctionNode, inside: Place, depth: int, made: dict[str, ast.expr]) -> Maker | None:
        for decorator in inner.decorator_list:
            if (maker := self.maker_of(decorator, inside, depth + 1)) is not None:
                return maker
        return self._returned(inner, inside.inside(inner), depth + 1, made) if depth < _MAX_WRAPPERS else None


def _without(options: Options, parameters: set[str]) -> Options:
    """Options, without mappings that a caller gives: what is in those is known where it is called."""
    if (unread := options.get(UNREAD)) is None:
        return options
    written = unread.value.values if isinstance(unread.value, ast.Dict) and not any(unread.value.keys) else [unread.value]
    left = [value for value in written if not (isinstance(value, ast.Name) and value.id in parameters)]
    kept = {name: option for name, option in options.items() if name != UNREAD}
    if not left:
        return kept
    value = left[0] if len(left) == 1 else ast.Dict([None] * len(left), left)
    return {**kept, UNREAD: Option(value, unread.place)}


def _same_name(function: ast.expr, node: FunctionNode) -> bool:
    return isinstance(function, ast.Name) and function.id == node.name


def inherits(project: Project, full: str, roots: frozenset[str], hops: int = 0) -> bool:
    """Whether a project's class has one of `roots` among its ancestors."""
    defined = project.definition(full)
    node, place = defined or (None, None)
    if not isinstance(node, ast.ClassDef) or place is None or hops > _MAX_WRAPPERS:
        return False
    bases = [base for expression in node.bases if (base := project.full_name(expression, place)) is not None]
    return any(base in roots or (base != full and inherits(project, base, roots, hops + 1)) for base in bases)


def is_task_class(makers: Makers, project: Project, full: str, roots: frozenset[str]) -> bool:
    """Whether a project's class is one of tasks: by its ancestors, of which `app.Task` may be one."""
    defined = project.definition(full)
    node, place = defined or (None, None)
    if not isinstance(node, ast.ClassDef) or place is None:
        return False
    if inherits(project, full, roots):
        return True
    own = any(isinstance(base, ast.Attribute) and base.attr == "Task" and makers.is_app(base.value, place) for base in node.bases)
    above = [base for expression in node.bases if (base := project.full_name(expression, place)) is not None and base != full]
    return own or any(is_task_class(makers, project, base, roots) for base in above)


def _keywords(keywords: list[ast.keyword], place: Place, project: Project) -> Options:
    options: Options = {}
    for keyword in keywords:
        given = read_mapping(keyword.value, place, project) if keyword.arg is None else {keyword.arg: Option(keyword.value, place)}
        options = joined(options, given)
    return options


def _defaults(node: FunctionNode) -> dict[str, ast.expr]:
    positional = [*node.args.posonlyargs, *node.args.args]
    pairs = list(zip(reversed(positional), reversed(node.args.defaults), strict=False))
    found = {parameter.arg: default for parameter, default in pairs}
    found |= {p.arg: d for p, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None}
    return found


def _set_defaults(node: FunctionNode) -> dict[str, ast.expr]:
    """What a wrapper puts into its own `**kwargs`: `setdefault`, or an item."""
    if node.args.kwarg is None:
        return {}
    kwargs = node.args.kwarg.arg
    found: dict[str, ast.expr] = {}
    for part in own_nodes(node):
        match part:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="setdefault"), args=[ast.Constant(value=str(key)), value]):
                found |= {key: value} if name == kwargs else {}
            case ast.Assign(targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))], value=value):
                found |= {key: value} if name == kwargs else {}
    return found
