"""Finds the tasks of a project."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.migrate.body import parameters_of, retries_itself, returns_value
from gateway.migrate.constant import Unsettled, evaluate, evaluate_or_text, text_of_expression
from gateway.migrate.finding import FoundTask
from gateway.migrate.maker import Maker, Makers, Option, Options, inherits, is_task_class
from gateway.migrate.name import FunctionNode
from gateway.migrate.project import Module, Place, Project, walk

__all__ = ["TASK_CLASSES", "Registry", "TaskFinder", "TaskSource"]

TASK_CLASSES = frozenset(
    {"celery.Task", "celery.app.task.Task", "celery.app.Task", "celery.task.Task", "celery.task.base.Task", "celery.task.PeriodicTask"}
)
_CLASS_OPTIONS = frozenset(
    {
        "max_retries", "default_retry_delay", "autoretry_for", "dont_autoretry_for", "retry_backoff", "retry_backoff_max", "retry_jitter",
        "retry_kwargs", "rate_limit", "time_limit", "soft_time_limit", "acks_late", "acks_on_failure_or_timeout", "reject_on_worker_lost",
        "ignore_result", "queue", "priority", "serializer", "throws", "typing", "track_started", "trail", "store_errors_even_if_ignored",
        "send_events", "expires", "run_every", "bind", "compression", "store_eager_result",
    }
)  # fmt: skip
# Up to Celery 3, a class of this base registered itself when it was defined.
_SELF_REGISTERING = frozenset({"celery.task.Task", "celery.task.base.Task", "celery.task.PeriodicTask"})
_MAX_ANCESTORS = 12


@dataclass(frozen=True, slots=True)
class _Made:
    """How and where a task came to be."""

    decorator: str
    file: str
    line: int
    symbol: str
    repeated: bool = False
    by: ast.expr | None = None
    """The decorator, where it was one."""


@dataclass(frozen=True, slots=True, eq=False)
class TaskSource:
    """A found task and the source it was found in."""

    task: FoundTask
    node: FunctionNode | None
    """The function, or the class's `run`; None where the source does not have it."""
    place: Place
    """Where that is written."""
    options: Options
    above: tuple[ast.expr, ...] = ()
    """Decorators applied to the task."""
    below: tuple[ast.expr, ...] = ()
    """Decorators applied before it became a task."""
    class_name: str | None = None
    """Full name, for a class-based task."""


@dataclass(slots=True)
class Registry:
    """Found tasks, and the names they are known by in the source."""

    tasks: list[FoundTask] = field(default_factory=list)
    sources: list[TaskSource] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Task name by full name of function, class or variable."""
    periodic: list[tuple[FoundTask, Option]] = field(default_factory=list)
    wrappers: set[str] = field(default_factory=set)
    """Full names of the project's decorators in use: tasks defined inside them stand for the functions they decorate."""


class TaskFinder:
    """Reads module after module into a registry."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._makers = Makers(project)
        self._classes: dict[str, tuple[ast.ClassDef, Place]] = {}
        self._registered: set[str] = set()
        self._based_on: set[str] = set()
        self._aliases: dict[str, list[str]] = {}
        self._decorating: set[ast.AST] = set()
        self._inside: list[tuple[FoundTask, str]] = []
        # Where a project derives names its own way, none is certain, in whatever file that way is written.
        self._any_custom_names = any(_names_its_own_way(module) for module in project.modules.values())
        self.registry = Registry()

    def read(self, module: Module) -> None:
        """Find the module's tasks; classes wait until it is known which are registered."""
        for node, parent, place in walk(self._project.place_of(module)):
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._function(node, place)
                case ast.ClassDef():
                    self._class(node, place)
                case ast.Call() if node not in self._decorating:
                    self._call(node, parent, place)

    def finish(self) -> Registry:
        """The registry, with class-based tasks, and without what stands inside the project's own decorators."""
        for full in self._classes:
            registered = full in self._registered
            if registered or (inherits(self._project, full, _SELF_REGISTERING) and full not in self._based_on and self._has_run(full)):
                self._class_task(full, registered=registered)
        wrapped = {id(task) for task, full in self._inside if any(full.startswith(f"{name}.") for name in self.registry.wrappers)}
        self.registry.tasks = [task for task in self.registry.tasks if id(task) not in wrapped]
        self.registry.sources = [source for source in self.registry.sources if id(source.task) not in wrapped]
        self.registry.tasks.sort(key=lambda task: (task.file, task.line, task.name))
        return self.registry

    def _function(self, node: FunctionNode, place: Place) -> None:
        for decorator in node.decorator_list:
            if (maker := self._makers.maker_of(decorator, place)) is None:
                continue
            self._decorating |= set(ast.walk(decorator))
            self._note_bases(maker)
            if maker.wrapper is not None:
                self.registry.wrappers.add(maker.wrapper)
            written = decorator.func if isinstance(decorator, ast.Call) else decorator
            full = f"{place.full_name}.{node.name}"
            made = _Made(
                text_of_expression(written), place.module.file, node.lineno, ".".join((*place.path, node.name)), place.repeated, decorator
            )
            self._add(node, place, maker, made, [full])
            return

    def _call(self, call: ast.Call, parent: ast.AST | None, place: Place) -> None:
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("register_task", "register") and call.args:
            return self._register(call, call.args[0], parent, place)
        if len(call.args) != 1 or (maker := self._makers.maker_of(call.func, place)) is None:
            return None
        self._note_bases(maker)
        full = self._project.full_name(call.args[0], place)
        defined = self._project.definition(full) if full else None
        node, where = defined or (None, place)
        if not isinstance(node, FunctionNode):
            return None
        if maker.wrapper is not None:
            self.registry.wrappers.add(maker.wrapper)
        aliases = _assigned(parent, place)
        maker = maker.called(call.keywords, place, self._project)
        written = call.func.func if isinstance(call.func, ast.Call) else call.func
        made = _Made(text_of_expression(written), place.module.file, call.lineno, node.name, place.repeated)
        self._add(node, where, maker, made, aliases)
        return None

    def _register(self, call: ast.Call, argument: ast.expr, parent: ast.AST | None, place: Place) -> None:
        written = argument.func if isinstance(argument, ast.Call) else argument
        full = self._project.full_name(written, place)
        if full is None or not isinstance((self._project.definition(full) or (None,))[0], ast.ClassDef):
            # `instance = Cls()` and then `app.register_task(instance)`
            values, where = self._project.values(full) if full else ([], place)
            full = self._project.full_name(values[0].func, where) if len(values) == 1 and isinstance(values[0], ast.Call) else None
        if full is not None and self._is_task_class(full):
            self._registered.add(full)
            for alias in _assigned(parent, place):
                self._aliases.setdefault(full, []).append(alias)
        elif full is None:
            self._registered_in_loop(call, place)

    def _registered_in_loop(self, call: ast.Call, place: Place) -> None:
        """`for cls in (A, B): app.register_task(cls())`: every class the loop goes over."""
        written = call.args[0].func if isinstance(call.args[0], ast.Call) else call.args[0]
        for loop in ast.walk(place.module.tree) if isinstance(written, ast.Name) and place.repeated else ():
            if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and isinstance(written, ast.Name):
                items = loop.iter.elts if loop.target.id == written.id and isinstance(loop.iter, ast.Tuple | ast.List) else []
                found = [self._project.full_name(item.func if isinstance(item, ast.Call) else item, place) for item in items]
                self._registered |= {full for full in found if full is not None and self._is_task_class(full)}

    def _is_task_class(self, full: str) -> bool:
        return is_task_class(self._makers, self._project, full, TASK_CLASSES)

    def _note_bases(self, maker: Maker) -> None:
        base = maker.options.get("base")
        if base is not None and (full := self._project.full_name(base.value, base.place)) is not None:
            self._based_on.add(full)

    def _class(self, node: ast.ClassDef, place: Place) -> None:
        full = f"{place.full_name}.{node.name}"
        for base in node.bases:
            if (named := self._project.full_name(base, place)) is not None:
                self._based_on.add(named)
        if self._is_task_class(full):
            self._classes[full] = (node, place)
            if any(_registers(decorator) for decorator in node.decorator_list):
                self._registered.add(full)

    def _add(self, node: FunctionNode, where: Place, maker: Maker, made: _Made, aliases: list[str]) -> None:
        """Note the task that `node` becomes."""
        options = {
            name: evaluate_or_text(self._project, option.value, option.place) for name, option in maker.options.items() if name != "name"
        }
        name, certain = self._name(maker.options, where, node.name)
        bound = options.get("bind") is True
        task = FoundTask(
            name=name,
            name_certain=certain and not made.repeated,
            file=made.file,
            line=made.line,
            symbol=made.symbol,
            decorator=made.decorator,
            options=options,
            parameters=parameters_of(node, bound=bound),
            uses_self_retry=retries_itself(node, bound=bound),
            is_async=isinstance(node, ast.AsyncFunctionDef),
            returns_value=returns_value(node),
        )
        self._note(task, maker.options, aliases)
        above, below = _around(node, made.by)
        self.registry.sources.append(TaskSource(task, node, where, maker.options, above, below))
        self._inside.append((task, where.full_name + "."))

    def _note(self, task: FoundTask, options: Options, aliases: list[str]) -> None:
        self.registry.tasks.append(task)
        self.registry.names |= dict.fromkeys(aliases, task.name)
        if "run_every" in options:
            self.registry.periodic.append((task, options["run_every"]))

    def _name(self, options: Options, where: Place, symbol: str) -> tuple[str, bool]:
        """The name, and whether it is certain. Source: `celery.app.base.gen_task_name`, `celery.utils.imports.gen_task_name`."""
        given = options.get("name")
        if given is not None and not (isinstance(given.value, ast.Constant) and given.value.value is None):
            try:
                name = evaluate(self._project, given.value, given.place)
            except Unsettled:
                return text_of_expression(given.value), False
            return str(name), isinstance(name, str)
        certain = where.module.certain and "**" not in options and not self._any_custom_names
        return f"{where.module.name}.{symbol}", certain

    def _has_run(self, full: str) -> bool:
        own, _ = self._class_options(full)
        abstract = own.get("abstract")
        return self._run_of(full) is not None and not (
            abstract and isinstance(abstract.value, ast.Constant) and abstract.value.value is True
        )

    def _class_task(self, full: str, *, registered: bool) -> None:
        node, place = self._classes[full]
        run, where = self._run_of(full) or (None, place)
        own, inherited = self._class_options(full)
        options = {**inherited, **own}
        options.pop("abstract", None)
        name, certain = self._name(options, place, node.name)
        task = FoundTask(
            name=name,
            name_certain=certain,
            file=place.module.file,
            line=node.lineno,
            symbol=".".join((*place.path, node.name)),
            decorator="app.register_task" if registered else "Task",
            options={key: evaluate_or_text(self._project, option.value, option.place) for key, option in options.items() if key != "name"},
            parameters=parameters_of(run, bound=True) if run else [],
            uses_self_retry=retries_itself(run, bound=True) if run else False,
            is_async=isinstance(run, ast.AsyncFunctionDef),
            returns_value=returns_value(run) if run else False,
        )
        self._note(task, options, [full, *self._aliases.get(full, [])])
        self.registry.sources.append(TaskSource(task, run, where, options, class_name=full))

    def _ancestors(self, full: str) -> Iterator[tuple[ast.ClassDef, Place]]:
        """The class and its ancestors in the project, nearest first."""
        waiting, seen = [full], set[str]()
        while waiting and len(seen) < _MAX_ANCESTORS:
            current = waiting.pop(0)
            defined = self._project.definition(current)
            node, place = defined or (None, None)
            if current in seen or place is None or not isinstance(node, ast.ClassDef):
                continue
            seen.add(current)
            yield node, place
            waiting += [base for expression in node.bases if (base := self._project.full_name(expression, place)) is not None]

    def _run_of(self, full: str) -> tuple[FunctionNode, Place] | None:
        for node, place in self._ancestors(full):
            for statement in node.body:
                if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == "run":
                    return statement, place.inside(node)
        return None

    def _class_options(self, full: str) -> tuple[Options, Options]:
        """Options the class sets itself, and those it inherits; `abstract` is never inherited."""
        own: Options = {}
        inherited: Options = {}
        for depth, (node, place) in enumerate(self._ancestors(full)):
            values = place.inside(node).scopes[0].values
            found = {
                key: Option(given[-1], place.inside(node)) for key, given in values.items() if key in _CLASS_OPTIONS | {"name", "abstract"}
            }
            if depth == 0:
                own = found
            else:
                found.pop("abstract", None)
                inherited = {**found, **inherited}
        return own, inherited


def _around(node: FunctionNode, by: ast.expr | None) -> tuple[tuple[ast.expr, ...], tuple[ast.expr, ...]]:
    """The decorators above and below the one that makes the task."""
    decorators = tuple(node.decorator_list)
    at = next((index for index, decorator in enumerate(decorators) if decorator is by), -1)
    return decorators[: max(at, 0)], decorators[at + 1 :]


def _names_its_own_way(module: Module) -> bool:
    return "def gen_task_name" in module.text and any(
        isinstance(node, FunctionNode) and node.name == "gen_task_name" for node in ast.walk(module.tree)
    )


def _registers(decorator: ast.expr) -> bool:
    """`@app.register_task` above a class."""
    written = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(written, ast.Attribute) and written.attr == "register_task"


def _assigned(parent: ast.AST | None, place: Place) -> list[str]:
    """The full names an expression's value is assigned to."""
    if not isinstance(parent, ast.Assign):
        return []
    return [f"{place.full_name}.{target.id}" for target in parent.targets if isinstance(target, ast.Name)]
