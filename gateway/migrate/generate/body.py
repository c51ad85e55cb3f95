"""A task's body as a handler's: what it asks of Celery's task object is asked of the runtime, everything else is left alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from gateway.migrate.constant import text_of_expression
from gateway.migrate.generate.async_http import make_async
from gateway.migrate.generate.caught_retry import caught_retry
from gateway.migrate.generate.decision import Decision
from gateway.migrate.generate.edit import Edits
from gateway.migrate.generate.needed import free_names
from gateway.migrate.generate.own_name import OwnNames, bound_names
from gateway.migrate.name import FunctionNode
from gateway.migrate.project import Module, Place, Project
from gateway.migrate.task_finder import TaskSource

__all__ = ["CarriedBody", "carry_body"]

_EXCEPTIONS = "celery.exceptions"


@dataclass(slots=True)
class CarriedBody:
    """The rewritten body and what it needs around it."""

    text: str = ""
    uses_context: bool = False
    decisions: list[Decision] = field(default_factory=list)
    max_retries: str | None = None
    """Given at the one place that asks for another attempt."""


def carry_body(source: TaskSource, project: Project, own: OwnNames, *, delay_s: str | None, async_http: bool = False) -> CarriedBody:
    """The body of a task. `delay_s` is what a retry without a delay waits where the handler's policy says something else.

    In it `celery_task` of `own` stands for the Celery task object, and `celery_module` for the task's module. With `async_http`, what
    `can_be_async` allows is awaited.
    """
    assert source.node is not None
    return _Carrier(source, source.node, project, own, delay_s).carry(async_http=async_http)


class _Carrier:
    def __init__(self, source: TaskSource, node: FunctionNode, project: Project, own: OwnNames, delay_s: str | None) -> None:
        self._node = node
        self._place = source.place
        self._project = project
        self._own = own
        self._delay_s = delay_s
        self._edits = Edits(source.place.module.text)
        self._made = CarriedBody()
        self._task = source.task
        self._parents = {id(child): parent for parent in ast.walk(node) for child in ast.iter_child_nodes(parent)}
        positional = [*node.args.posonlyargs, *node.args.args]
        bound = source.class_name is not None or source.task.options.get("bind") is True
        self._self = positional[0].arg if bound and positional else None
        self._class = source.class_name
        self._stand_ins = {node.name, "current_task", *([self._self] if self._self else [])}
        self._inside: Place = source.place.inside(node)
        self._rebound = _declared_global(node) | self._changing()

    def _changing(self) -> set[str]:
        """Names of the module that another function rebinds: an import would keep the value of its own moment."""
        read = free_names(ast.unparse(self._node)) & _rebound_in(self._place.module) - _declared_global(self._node)
        bound = bound_names(self._node)
        around = [scope for scope in self._place.scopes[:-1] if not scope.is_class]
        read = {name for name in read if not any(name in {*scope.targets, *scope.values, *scope.unknown} for scope in around)}
        for name in sorted(read & bound):
            self._decide(self._node, f"another function rebinds {name}, and so does a block in here: the value of the import stands here")
        return read - bound

    def carry(self, *, async_http: bool) -> CarriedBody:
        """Rewrite from the inside out, so that what surrounds a change sees it."""
        if async_http:
            make_async(self._node, self._inside, self._project, self._edits, self._own)
        retries = 0
        for part in reversed(list(_breadth_first(self._node))):
            match part:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="retry")) if name in self._stand_ins:
                    retries += 1
                    self._retry(part)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=asked)) if name in self._stand_ins:
                    self._asked(part, asked)
                case ast.Attribute():
                    self._attribute(part)
                case ast.Name():
                    self._name(part)
                case _:
                    self._statement_part(part)
        if retries > 1:
            self._one_limit_only()
        self._made.text = self._edits.body(self._node)
        self._made.decisions.sort()
        return self._made

    def _statement_part(self, part: ast.AST) -> None:
        match part:
            case ast.Raise(exc=ast.expr() as raised):
                self._raised(part, raised)
            case ast.ExceptHandler(type=ast.expr() as caught):
                self._caught(caught)
            case ast.ImportFrom(level=level) if level:
                self._import(part)
            case ast.Global():
                self._edits.replace(part, "pass")

    def _asked(self, call: ast.Call, asked: str) -> None:
        """Something else than another attempt is asked of the task object."""
        if asked in ("update_state", "send_event"):
            self._dropped(call, f"{asked} has no counterpart: there is no state while a handler runs")
        elif asked in ("replace", "add_to_chord"):
            self._decide(call, f"{asked} changes the canvas this task runs in: the runtime has none", blocks=True)

    def _decide(self, node: ast.AST, text: str, *, blocks: bool = False) -> None:
        self._made.decisions.append(Decision(getattr(node, "lineno", self._node.lineno), text, blocks))

    def _one_limit_only(self) -> None:
        if self._made.max_retries is not None:
            self._made.max_retries = None
            self._decide(self._node, "max_retries differs between calls of retry: the runtime has one limit a handler", blocks=True)

    def _retry(self, call: ast.Call) -> None:
        statement = self._statement(call)
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        throw = given.get("throw")
        quiet = isinstance(throw, ast.Constant) and throw.value is False
        if statement is None or call.args or None in given or quiet or given.keys() & {"args", "kwargs"}:
            reason = (
                "throw=False" if quiet else "other arguments" if call.args or given.keys() & {"args", "kwargs", None} else "its value used"
            )
            self._decide(call, f"retry with {reason}: the runtime repeats the same event, and only by raising", blocks=True)
            self._task_stands_for(call)
            return
        if (caught := caught_retry(statement, self._parents, self._inside, self._project)) is not None:
            self._decide(call, caught[0], blocks=caught[1])
        delay = self._delay(call, given)
        self._edits.replace(statement, f"raise {self._own.use('Retry')}({delay}){self._cause(statement, given.get('exc'))}")
        if (limit := given.get("max_retries")) is not None:
            self._limit(call, limit)
        for option in sorted(name for name in given if name not in (None, "exc", "countdown", "eta", "max_retries", "throw")):
            self._decide(call, f"retry with {option}={text_of_expression(given[option])}: the event comes back to the queue it was in")

    def _task_stands_for(self, call: ast.Call) -> None:
        """The Celery task object is asked, as what it is asked stays."""
        if isinstance(call.func, ast.Attribute):
            self._edits.replace(call.func.value, self._own.use("celery_task"))

    def _statement(self, call: ast.Call) -> ast.stmt | None:
        """The statement that does nothing but ask for another attempt."""
        parent = self._parents.get(id(call))
        match parent:
            case ast.Expr() | ast.Return():
                return parent
            case ast.Raise(exc=exc) if exc is call:
                return parent
        return None

    def _delay(self, call: ast.Call, given: dict[str | None, ast.expr]) -> str:
        countdown, eta = given.get("countdown"), given.get("eta")
        if eta is not None and not _is_none(eta):
            self._decide(call, "eta is taken as an aware time; a naive one was UTC to Celery")
            now = f"{self._own.use('datetime')}.datetime.now({self._own.use('datetime')}.timezone.utc)"
            return f"delay_s=({self._edits.of(eta)} - {now}).total_seconds()"
        if countdown is not None and not _is_none(countdown):
            return f"delay_s={self._edits.of(countdown)}"
        return "" if self._delay_s is None else f"delay_s={self._delay_s}"

    def _cause(self, statement: ast.stmt, exc: ast.expr | None) -> str:
        if exc is not None and not _is_none(exc):
            return f" from {self._edits.of(exc)}"
        if isinstance(statement, ast.Raise) and statement.cause is not None and exc is not None:
            return f" from {self._edits.of(statement.cause)}"
        # Without `exc` Celery ends in MaxRetriesExceededError, whatever is being handled.
        return " from None" if self._in_handler(statement) else ""

    def _in_handler(self, node: ast.AST) -> bool:
        parent = self._parents.get(id(node))
        return parent is not None and (isinstance(parent, ast.ExceptHandler) or self._in_handler(parent))

    def _limit(self, call: ast.Call, limit: ast.expr) -> None:
        text = text_of_expression(limit)
        if isinstance(limit, ast.Constant) and (limit.value is None or isinstance(limit.value, int)):
            self._made.max_retries = text
        else:
            self._decide(call, f"max_retries={text} is computed: the runtime's limit is fixed in the declaration", blocks=True)

    def _raised(self, statement: ast.Raise, raised: ast.expr) -> None:
        call = raised if isinstance(raised, ast.Call) else None
        full = self._project.full_name(call.func if call else raised, self._inside) or ""
        if full == f"{_EXCEPTIONS}.Ignore":
            self._decide(statement, "Ignore left the result unset; here the handler succeeds with None")
            self._edits.replace(statement, "return None")
        elif full == f"{_EXCEPTIONS}.Reject":
            requeue = [word.value for word in call.keywords if word.arg == "requeue"] + call.args[1:] if call else []
            again = bool(requeue) and not (isinstance(requeue[0], ast.Constant) and not requeue[0].value)
            reason = self._edits.of(call.args[0]) if call and call.args else '"rejected"'
            self._decide(
                statement,
                f"Reject {'sent the message back to its queue' if again else 'dropped the message'}; here the event "
                f"{'is tried again' if again else 'fails for good'}",
            )
            raised_here = (
                f"{self._own.use('Retry')}(delay_s=0, reason=str({reason}))" if again else f"{self._own.use('DoNotRetry')}(str({reason}))"
            )
            self._edits.replace(statement, f"raise {raised_here}")

    def _caught(self, caught: ast.expr) -> None:
        for expression in caught.elts if isinstance(caught, ast.Tuple) else [caught]:
            full = self._project.full_name(expression, self._inside) or ""
            if full == f"{_EXCEPTIONS}.Retry":
                self._edits.replace(expression, self._own.use("Retry"))
            elif full.rpartition(".")[2] in ("SoftTimeLimitExceeded", "MaxRetriesExceededError") and full.startswith(
                ("celery", "billiard")
            ):
                self._decide(expression, f"nothing raises {full.rpartition('.')[2]} in the runtime: this branch is never taken")

    def _import(self, statement: ast.ImportFrom) -> None:
        """A relative import, made absolute."""
        package = self._place.module.package.split(".") if self._place.module.package else []
        kept = package[: len(package) - statement.level + 1]
        source = ".".join([*kept, *([statement.module] if statement.module else [])])
        names = ", ".join(alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in statement.names)
        self._edits.replace(statement, f"from {source} import {names}")

    def _attribute(self, node: ast.Attribute) -> None:
        """What is read of the task object."""
        parent = self._parents.get(id(node))
        match node:
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="request"), attr=asked) if name in self._stand_ins:
                self._request(node, asked)
            case ast.Attribute(value=ast.Name(id=name), attr="request") if name in self._stand_ins:
                if not (isinstance(parent, ast.Attribute) and parent.value is node):
                    self._decide(node, "the whole request is used: the runtime's context has other members", blocks=True)
            case ast.Attribute(value=ast.Name(id=name), attr="name") if name == self._self:
                self._edits.replace(node, repr(self._task.name))
            case ast.Attribute(value=ast.Name(id=name), attr="max_retries") if name == self._self and "max_retries" in self._task.options:
                self._edits.replace(node, repr(self._task.options["max_retries"]))

    def _name(self, node: ast.Name) -> None:
        parent, name = self._parents.get(id(node)), node.id
        if name in self._rebound:
            # An import would make a second variable, and rebind that one.
            self._edits.replace(node, f"{self._own.use('celery_module')}.{name}")
        elif name == "__name__":
            self._edits.replace(node, repr(self._place.module.name))
        elif name == self._self and isinstance(node.ctx, ast.Load):
            self._bare_self(node, parent)
        elif name == "super":
            self._super(parent)
        elif name == self._node.name and self._class is None and self._is_own_name(name):
            self._edits.replace(node, self._own.use("celery_task"))

    def _is_own_name(self, name: str) -> bool:
        names = self._inside.scopes[0]
        return name not in names.targets and name not in names.values and name not in names.unknown

    def _request(self, node: ast.Attribute, asked: str) -> None:
        if isinstance(node.ctx, ast.Store):
            self._decide(node, f"request.{asked} is set: that changes what Celery does next, and nothing here", blocks=True)
        elif asked in ("id", "root_id", "correlation_id"):
            self._made.uses_context = True
            context = self._own.use("ctx")
            self._edits.replace(node, f"({context}.submission_id or {context}.event.id)")
            if asked != "id":
                self._decide(node, f"request.{asked}: the submission's own id stands here")
        elif asked == "retries":
            self._made.uses_context = True
            self._edits.replace(node, f"({self._own.use('ctx')}.attempt - 1)")
        else:
            self._decide(node, f"request.{asked} has no counterpart in the runtime's context", blocks=True)

    def _bare_self(self, node: ast.Name, parent: ast.AST | None) -> None:
        if self._is_edited(node):
            return
        self._edits.replace(node, self._own.use("celery_task"))
        match parent:
            case ast.Attribute(attr="request" | "retry"):
                return
            case ast.Attribute(attr=attribute):
                self._decide(node, f"self.{attribute} is asked of the Celery task object until its class is moved")
            case ast.Call(func=ast.Name(id="super")):
                return
            case _:
                self._decide(
                    node, "self is given away: whoever gets it may retry or read the request, which only works in a worker", blocks=True
                )

    def _is_edited(self, node: ast.Name) -> bool:
        """Whether something around it was replaced already, or will be: children come first."""
        parent = self._parents.get(id(node))
        grand = self._parents.get(id(parent)) if parent is not None else None
        match parent:
            case ast.Attribute(attr="retry" | "update_state" | "send_event") if isinstance(grand, ast.Call):
                return True
            case ast.Attribute(attr="request") if isinstance(grand, ast.Attribute) and grand.attr in (
                "id",
                "retries",
                "root_id",
                "correlation_id",
            ):
                return isinstance(grand.ctx, ast.Load)
            case ast.Attribute(attr="name"):
                return True
            case ast.Attribute(attr="max_retries"):
                return "max_retries" in self._task.options
        return False

    def _super(self, parent: ast.AST | None) -> None:
        if isinstance(parent, ast.Call) and not parent.args and self._class is not None:
            task = self._own.use("celery_task")
            self._edits.replace(parent, f"super(type({task}), {task})")

    def _dropped(self, call: ast.Call, why: str) -> None:
        self._decide(call, why)
        if isinstance(parent := self._parents.get(id(call)), ast.Expr):
            text = " ".join(text_of_expression(call).split())
            self._edits.replace(parent, f"pass  # TODO(migrate): was {text}")
        else:
            self._task_stands_for(call)


@lru_cache(maxsize=8)
def _rebound_in(module: Module) -> frozenset[str]:
    """The names any function of a module rebinds: asked for every task in it."""
    return frozenset(_declared_global(module.tree))


def _declared_global(tree: ast.AST) -> set[str]:
    return {name for part in ast.walk(tree) if isinstance(part, ast.Global) for name in part.names}


def _breadth_first(node: FunctionNode) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        part = waiting.pop(0)
        yield part
        waiting.extend(ast.iter_child_nodes(part))


def _is_none(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
