"""One handler module: the task's function on the runtime, with the imports it needs and every open point marked."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.migrate.constant import text_of_expression
from gateway.migrate.finding import Touch
from gateway.migrate.generate.async_http import can_be_async, helper
from gateway.migrate.generate.body import CarriedBody, carry_body
from gateway.migrate.generate.decision import Decision, blocks, todo
from gateway.migrate.generate.declaration import Declaration, declare
from gateway.migrate.generate.edit import Edits
from gateway.migrate.generate.needed import BUILT_IN, Needed, free_names, import_of
from gateway.migrate.generate.own_name import OwnNames, bound_names, own_imports
from gateway.migrate.generate.payload import Payload, payload_of
from gateway.migrate.name import FunctionNode, own_nodes
from gateway.migrate.project import Project
from gateway.migrate.task_finder import TASK_CLASSES, TaskSource
from gateway.migrate.touch import touches_of

__all__ = ["HandlerModule", "event_type", "handler_module"]

_NOT_BLOCKING = frozenset({"chance", "clock"})
_MAX_ANCESTORS = 12
_MAX_TYPE_BYTES = 255
# Built-in names that generated source uses itself.
_OWN_BUILT_IN = frozenset(
    {"NotImplementedError", "bool", "bytes", "dict", "float", "int", "list", "object", "str", "super", "tuple", "type"}
)


@dataclass(frozen=True, slots=True)
class HandlerModule:
    """A generated handler."""

    source: TaskSource
    name: str
    """Of the module."""
    function: str
    text: str
    """Not yet formatted."""
    decisions: list[Decision]
    notes: list[str]
    in_thread: bool
    touches: list[Touch]
    jittered: bool
    """Whether it waits a random part of its delays, as the task did."""

    @property
    def difficulty(self) -> str:
        """`ready`, `needs decisions` or `blocked`."""
        return "blocked" if blocks(self.decisions) else "needs decisions" if self.decisions else "ready"


def event_type(task: str) -> str:
    """The type of a task's events: its name, or what comes closest to it and can be one."""
    return re.sub(r"[*#]", "_", task).encode()[:_MAX_TYPE_BYTES].decode(errors="ignore") or "unnamed"


def handler_module(
    source: TaskSource, project: Project, name: str, *, waits: Sequence[int] = (), async_http: bool = False
) -> HandlerModule:
    """The handler of one task. What cannot be carried over raises when it is run, and says why.

    `waits` are the lines where it waits for another task's result. With `async_http`, a task that waits for nothing but HTTP awaits it
    by httpx instead of blocking a thread.
    """
    builder = _Builder(source, project, name, waits=waits, async_http=async_http)
    try:
        return builder.build()
    except (RecursionError, MemoryError):
        return builder.unbuilt("the function is nested too deeply to be carried over")


class _Builder:
    def __init__(self, source: TaskSource, project: Project, name: str, *, waits: Sequence[int], async_http: bool) -> None:
        self._source = source
        self._waits = waits
        self._bound = source.class_name is not None or source.task.options.get("bind") is True
        self._async_http = (
            async_http
            and source.node is not None
            and not source.below
            and can_be_async(source.node, source.place, project, bound=self._bound)
        )
        self._task = source.task
        self._project = project
        self._module_name = name
        self._function = _identifier(self._task.symbol.rpartition(".")[2] if source.class_name is None else _snake(self._task.symbol))
        self._decisions: list[Decision] = []
        self._own = OwnNames(source.place.module.text)
        self._below = [Edits(source.place.module.text).of(decorator) for decorator in source.below]
        self._own.add("celery_module", "celery_module", "event_celery_module", f"import {source.place.module.name} as {{}}")
        self._handler = self._own.add("function", self._function, f"{self._function}_handler")
        self._carried = self._own.add("carried", f"_{self._function}", f"_{self._function}_carried")

    def build(self) -> HandlerModule:
        if self._source.node is None:
            return self.unbuilt("the function this task runs is not in the scanned source")
        node = self._source.node
        declaration = declare(self._source, self._project, self._own)
        backing_off = declaration.keywords.get("retry_delay_s") not in (None, declaration.delay_s)
        delay_s = declaration.delay_s if backing_off else None
        body = carry_body(self._source, self._project, self._own, delay_s=delay_s, async_http=self._async_http)
        if self._async_http:
            self._decisions.append(Decision(self._task.line, "requests became httpx: other errors, headers and limits of its own"))
        payload = payload_of(node, self._source.place, self._project, self._own, bound=self._bound)
        if body.max_retries is not None and "max_attempts" in declaration.keywords:
            self._own_limit(declaration, body.max_retries)
        self._decisions += [*declaration.decisions, *payload.decisions, *body.decisions, *self._circumstances(node)]
        touched = touches_of(node, self._source.place, self._project, bound=self._bound, below=self._source.below)
        starred = any(name.startswith("*") for name in payload.passed)
        in_thread = not self._task.is_async and (
            bool(self._source.below) or starred or any(touch.kind not in _NOT_BLOCKING for touch in touched)
        )
        # A function that yields is none that a handler can be, whether its decisions are made or not: it stands beside it.
        in_thread = (in_thread and not self._async_http) or _yields(node)
        try:
            text = self._text(declaration, payload, body, in_thread=in_thread)
        except SyntaxError:
            return self.unbuilt("what would be carried over is no Python that can be read here")
        return HandlerModule(
            self._source,
            self._module_name,
            self._function,
            text,
            sorted(self._decisions),
            declaration.notes,
            in_thread=in_thread,
            touches=touched,
            jittered="retry_jitter" in declaration.keywords,
        )

    def _own_limit(self, declaration: Declaration, limit: str) -> None:
        attempts = f"{self._own.use('sys')}.maxsize" if limit == "None" else str(int(limit) + 1)
        if "retry_on" in declaration.keywords and declaration.keywords["max_attempts"] != attempts:
            self._decisions.append(
                Decision(self._task.line, "retry and autoretry_for have limits of their own: the runtime has one a handler", blocks=True)
            )
        declaration.keywords["max_attempts"] = attempts

    def _circumstances(self, node: FunctionNode) -> list[Decision]:
        """What stands around the function and is not carried over."""
        line, found = self._task.line, []
        if event_type(self._task.name) != self._task.name:
            found.append(Decision(line, f"{self._task.name!r} is no event type: 1 to 255 bytes, neither * nor #", blocks=True))
        if not self._task.name_certain:
            guessed = all(part.isidentifier() for part in self._task.name.split("."))
            found.append(Decision(line, f"the source does not settle the name; {self._task.name!r} is the best guess", blocks=not guessed))
        found += [
            Decision(decorator.lineno, f"@{text_of_expression(decorator)} is applied to the Celery task and not carried over")
            for decorator in self._source.above
            if text_of_expression(decorator) != "staticmethod"
        ]
        if self._source.below and self._task.options.get("bind") is True:
            found.append(
                Decision(line, "the decorators below saw the Celery task as first argument; here they see what the handler passes")
            )
        if "base" in self._source.options:
            base = self._source.options["base"]
            full = self._project.full_name(base.value, base.place)
            if added := self._added_by(full, attributes=True):
                found.append(Decision(line, f"what base={text_of_expression(base.value)} adds is not carried over: {added}"))
        if self._source.class_name is not None and (added := self._added_by(self._source.class_name)):
            found.append(Decision(line, f"what the class adds beside run is not carried over: {added}"))
        if self._task.is_async:
            found.append(Decision(line, "Celery never awaited this async function, so it never ran; here it does"))
        if _yields(node):
            found.append(Decision(line, "it yields: Celery got a generator and ran none of it", blocks=True))
        refused = "it waits for another task's result, which Celery refuses inside a task; here a worker may wait for itself"
        found += [Decision(wait, refused) for wait in self._waits]
        return found

    def _added_by(self, full: str | None, depth: int = 0, *, attributes: bool = False) -> str:
        """The methods a task class and its ancestors have beside `run`; words for a class the source does not show.

        With `attributes` the options they set too, which a task that is no class of its own has from nowhere else.
        """
        if full is None or full in TASK_CLASSES:
            return ""
        node, place = self._project.definition(full) or (None, None)
        if not isinstance(node, ast.ClassDef) or place is None or depth > _MAX_ANCESTORS:
            return f"{full} is not in the scanned source"
        own = [part.name for part in node.body if isinstance(part, FunctionNode) and part.name != "run"]
        if attributes:
            own = [*(name for name in place.inside(node).scopes[0].values if name != "abstract"), *own]
        bases = [self._added_by(self._project.full_name(base, place), depth + 1, attributes=attributes) for base in node.bases]
        return ", ".join(dict.fromkeys(text for text in [*own, *bases] if text))

    def _code(self, declaration: Declaration, payload: Payload, body: CarriedBody, *, in_thread: bool) -> str:
        use = self._own.use
        context = [f"{use('ctx')}: {use('Context')}"] if body.uses_context else []
        keyword_only = [*payload.keyword_only, *context]
        parameters = ", ".join([*payload.declared, *(["*", *keyword_only] if keyword_only else [])])
        keywords = "".join(f", {name}={value}" for name, value in declaration.keywords.items())
        returns = "object" if self._task.returns_value or self._source.below or self._task.is_async else "None"
        head = [todo(decision) for decision in sorted(self._decisions)]
        head += [f"# Not carried over, {note}" for note in declaration.notes]
        head.append(f"@{use('handler')}({event_type(self._task.name)!r}{keywords})")
        # A float field would make 5.0 of the 5 that Celery passes on.
        exempt = "  # noqa: PYI041" if "int | float" in parameters else ""
        head.append(f"async def {self._handler}({parameters}) -> {returns}:{exempt}")
        head.append(f"    {self._docstring()}")
        if blocks(self._decisions):
            open_points = "; ".join(decision.text for decision in sorted(self._decisions) if decision.blocks)
            head.append(f"    raise NotImplementedError({open_points!r})")
        if not in_thread:
            return self._guarded(head, body.text, declaration)
        passed = ", ".join([*([use("ctx")] if body.uses_context else []), *payload.passed])
        call = f"await {use('asyncio')}.to_thread({self._carried}{', ' if passed else ''}{passed})"
        wrapped = self._guarded([], f"    return {call}" if returns == "object" else f"    {call}", declaration)
        carried = ", ".join([*([use("ctx")] if body.uses_context else []), *payload.carried])
        below = [f"@{text}" for text in self._below]
        function = ["", "", f"@{use('no_type_check')}", *below, f"def {self._carried}({carried}):", body.text]
        return "\n".join([*head, wrapped, *function])

    def _guarded(self, head: list[str], text: str, declaration: Declaration) -> str:
        if declaration.dont_retry is None:
            return "\n".join([*head, text])
        inner = "\n".join(("    " + line) if line.strip() else line for line in text.splitlines())
        error = self._own.use("error")
        ended = f"        raise {self._own.use('DoNotRetry')}(str({error})) from {error}"
        return "\n".join([*head, "    try:", inner, f"    except {declaration.dont_retry} as {error}:", ended, ""])

    def _docstring(self) -> str:
        return f'"""Carried over from `{self._task.symbol}` in {self._task.file}, line {self._task.line}."""'

    def _text(self, declaration: Declaration, payload: Payload, body: CarriedBody, *, in_thread: bool) -> str:
        """The whole file. Raises `SyntaxError`."""
        more = helper(self._own) if self._async_http else ""
        code = self._code(declaration, payload, body, in_thread=in_thread) + more
        task = self._task_object() if self._own.use("celery_task") in code else []
        missing = [name for name in sorted(self._names(code)) if name not in BUILT_IN and import_of(name, self._source.place) is None]
        self._without(missing, declaration)
        self._decisions += [
            Decision(self._task.line, f"{name} is no built-in name in this module, and generated source takes it for one", blocks=True)
            for name in sorted(self._names(code) & _OWN_BUILT_IN)
        ]
        code = self._code(declaration, payload, body, in_thread=in_thread) + more
        imports, checked = self._imports(self._names(code) - set(missing))
        if checked:
            imports += [f"if {self._own.use('TYPE_CHECKING')}:", *(f"    {line}" for line in checked)]
        stubs = [f"{name}: {self._own.use('Any')} = ..." for name in missing if name in self._names(code)]
        text = "\n".join([*imports, "", *task, *stubs, "", "", code])
        spelled, own = self._own.spell(text, self._same(code))
        return _file(self._task.name, own, spelled)

    def _names(self, code: str) -> set[str]:
        """The task's own names in it, without built-in ones that its module leaves alone."""
        names = {name for name in free_names(code) if not self._own.is_own(name)}
        return {name for name in names if name not in BUILT_IN or import_of(name, self._source.place) is not None}

    def _without(self, missing: list[str], declaration: Declaration) -> None:
        """Says what the source does not bind, and leaves out what would ask for it as soon as the handler is imported."""
        self._decisions += [
            Decision(self._task.line, f"{name} is bound where the task is defined, or nowhere: the handler needs its value", blocks=True)
            for name in missing
        ]

        def asks(text: str) -> bool:
            return bool(free_names(text) & set(missing))

        declaration.keywords = {name: text for name, text in declaration.keywords.items() if not asks(text)}
        if declaration.dont_retry is not None and asks(declaration.dont_retry):
            declaration.dont_retry = None
        self._below = [text for text in self._below if not asks(text)]

    def _imports(self, names: set[str]) -> tuple[list[str], list[str]]:
        """The statements that bring the task's names, and those for type checkers alone."""
        needed = [found for name in sorted(names) if (found := import_of(name, self._source.place)) is not None]
        run = dict.fromkeys(found.statement for found in needed if not found.typing_only)
        return list(run), list(dict.fromkeys(found.statement for found in needed if found.typing_only))

    def _same(self, code: str) -> list[str]:
        """The task's names that stand for what ours of that spelling would: one import serves both."""
        bound = bound_names(ast.parse(code))
        wanted = own_imports().items()
        return [name for name, statement in wanted if name not in bound and import_of(name, self._source.place) == Needed(statement)]

    def _task_object(self) -> list[str]:
        """What binds `celery_task`."""
        task, place = self._own.use("celery_task"), self._source.place
        full = self._source.class_name or f"{place.module.name}.{self._task.symbol}"
        module, path = self._project.split(full)
        scopes = place.scopes[1:] if self._source.class_name is not None else place.scopes
        if module is None or any(not scope.is_class for scope in scopes[:-1]):
            self._decisions.append(Decision(self._task.line, "the Celery task object is made in a function, and only there", blocks=True))
            return [f"{task}: {self._own.use('Any')} = ..."]
        root = self._own.add("task_root", path[0], f"{path[0]}_task", f"from {module.name} import {path[0]} as {{}}")
        made = "()" if self._source.class_name is not None else ""
        return [f"{task} = {'.'.join([root, *path[1:]])}{made}"]

    def unbuilt(self, why: str) -> HandlerModule:
        """A handler that only says why there is none."""
        decision = Decision(self._task.line, why, blocks=True)
        code = [
            todo(decision),
            f"@handler({event_type(self._task.name)!r})",
            f"async def {_identifier(self._function)}() -> None:",
            f"    {self._docstring()}",
            f"    raise NotImplementedError({decision.text!r})",
        ]
        text = _file(self._task.name, ["from event_handlers import handler"], "\n".join(code) + "\n")
        return HandlerModule(
            self._source, self._module_name, self._function, text, [decision], [], in_thread=False, touches=[], jittered=False
        )


def _file(task: str, imports: list[str], code: str) -> str:
    return "\n".join([f'"""Handler of `{_quoted(task)}`."""', "", "from __future__ import annotations", "", *imports, "", "", code])


def _identifier(name: str) -> str:
    cleaned = re.sub(r"\W", "_", name)
    usable = cleaned.isidentifier() and not keyword.iskeyword(cleaned) and cleaned not in (*own_imports(), *BUILT_IN)
    return cleaned if usable else f"{cleaned}_handler"


def _yields(node: FunctionNode) -> bool:
    return any(isinstance(part, ast.Yield | ast.YieldFrom) for part in own_nodes(node))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")
