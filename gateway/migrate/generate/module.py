"""One handler module: the task's function on the runtime, with the imports it needs and every open point marked."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.migrate.constant import text_of_expression
from gateway.migrate.finding import Touch
from gateway.migrate.generate.async_http import HELPER, can_be_async
from gateway.migrate.generate.body import CELERY_MODULE, CELERY_TASK, CONTEXT, CarriedBody, carry_body
from gateway.migrate.generate.decision import Decision, blocks, todo
from gateway.migrate.generate.declaration import Declaration, declare
from gateway.migrate.generate.edit import Edits
from gateway.migrate.generate.needed import free_names, import_of
from gateway.migrate.generate.payload import Payload, payload_of
from gateway.migrate.name import FunctionNode, own_nodes
from gateway.migrate.project import Project
from gateway.migrate.task_finder import TASK_CLASSES, TaskSource
from gateway.migrate.touch import touches_of

__all__ = ["HandlerModule", "handler_module"]

_NOT_BLOCKING = frozenset({"chance", "clock"})
_MAX_ANCESTORS = 12
_RUNTIME = ("Context", "DoNotRetry", "Retry", "handler")
_STANDARD = {
    "httpx": "import httpx",
    "Any": "from typing import Any",
    "Literal": "from typing import Literal",
    "no_type_check": "from typing import no_type_check",
    "asyncio": "import asyncio",
    "datetime": "import datetime",
    "decimal": "import decimal",
    "uuid": "import uuid",
    "sys": "import sys",
}


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
        self._async_http = async_http and source.node is not None and not source.below and can_be_async(source.node, source.place, project)
        self._task = source.task
        self._project = project
        self._module_name = name
        self._function = _identifier(self._task.symbol.rpartition(".")[2] if source.class_name is None else _snake(self._task.symbol))
        self._decisions: list[Decision] = []
        self._imports: set[str] = set()

    def build(self) -> HandlerModule:
        if self._source.node is None:
            return self.unbuilt("the function this task runs is not in the scanned source")
        node = self._source.node
        bound = self._source.class_name is not None or self._task.options.get("bind") is True
        declaration = declare(self._source.options, self._task.options, self._task.line, retries=self._task.uses_self_retry)
        backing_off = declaration.keywords.get("retry_delay_s") not in (None, declaration.delay_s)
        delay_s = declaration.delay_s if backing_off else None
        body = carry_body(self._source, self._project, delay_s=delay_s, async_http=self._async_http)
        if self._async_http:
            self._decisions.append(Decision(self._task.line, "requests became httpx: other errors, headers and limits of its own"))
        payload = payload_of(node, self._source.place, self._project, bound=bound)
        if body.max_retries is not None and "max_attempts" in declaration.keywords:
            self._own_limit(declaration, body.max_retries)
        self._decisions += [*declaration.decisions, *payload.decisions, *body.decisions, *self._circumstances(node)]
        touched = touches_of(node, self._source.place, self._project)
        starred = any(name.startswith("*") for name in payload.passed)
        in_thread = not self._task.is_async and (
            bool(self._source.below) or starred or any(touch.kind not in _NOT_BLOCKING for touch in touched)
        )
        in_thread = in_thread and not self._async_http
        code = self._code(declaration, payload, body, in_thread=in_thread) + (HELPER if self._async_http else "")
        text = self._with_imports(code, body)
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
        attempts = "sys.maxsize" if limit == "None" else str(int(limit) + 1)
        if "retry_on" in declaration.keywords and declaration.keywords["max_attempts"] != attempts:
            self._decisions.append(
                Decision(self._task.line, "retry and autoretry_for have limits of their own: the runtime has one a handler", blocks=True)
            )
        declaration.keywords["max_attempts"] = attempts

    def _circumstances(self, node: FunctionNode) -> list[Decision]:
        """What stands around the function and is not carried over."""
        line, found = self._task.line, []
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
        if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in own_nodes(node)):
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
        own = f"_{self._function}"
        context = [f"{CONTEXT}: Context"] if body.uses_context else []
        keyword_only = [*payload.keyword_only, *context]
        parameters = ", ".join([*payload.declared, *(["*", *keyword_only] if keyword_only else [])])
        keywords = "".join(f", {name}={value}" for name, value in declaration.keywords.items())
        returns = "object" if self._task.returns_value or self._source.below or self._task.is_async else "None"
        head = [todo(decision) for decision in sorted(self._decisions)]
        head += [f"# Not carried over, {note}" for note in declaration.notes]
        head.append(f"@handler({self._task.name!r}{keywords})")
        # A float field would make 5.0 of the 5 that Celery passes on.
        exempt = "  # noqa: PYI041" if "int | float" in parameters else ""
        head.append(f"async def {self._function}({parameters}) -> {returns}:{exempt}")
        head.append(f"    {self._docstring()}")
        if blocks(self._decisions):
            open_points = "; ".join(decision.text for decision in sorted(self._decisions) if decision.blocks)
            head.append(f"    raise NotImplementedError({open_points!r})")
        if not in_thread:
            return self._guarded(head, body, declaration)
        passed = ", ".join([*([CONTEXT] if body.uses_context else []), *payload.passed])
        call = f"await asyncio.to_thread({own}{', ' if passed else ''}{passed})"
        wrapped = [f"    return {call}" if returns == "object" else f"    {call}"]
        if declaration.dont_retry is not None:
            wrapped = [
                "    try:",
                *(f"    {line}" for line in wrapped),
                f"    except {declaration.dont_retry} as error:",
                "        raise DoNotRetry(str(error)) from error",
            ]
        carried = ", ".join([*([CONTEXT] if body.uses_context else []), *payload.carried])
        below = [f"@{self._edited(decorator)}" for decorator in self._source.below]
        return "\n".join([*head, *wrapped, "", "", "@no_type_check", *below, f"def {own}({carried}):", body.text])

    def _guarded(self, head: list[str], body: CarriedBody, declaration: Declaration) -> str:
        if declaration.dont_retry is None:
            return "\n".join([*head, body.text])
        inner = "\n".join(("    " + line) if line.strip() else line for line in body.text.splitlines())
        return "\n".join(
            [
                *head,
                "    try:",
                inner,
                f"    except {declaration.dont_retry} as error:",
                "        raise DoNotRetry(str(error)) from error",
                "",
            ]
        )

    def _edited(self, expression: ast.expr) -> str:
        return Edits(self._source.place.module.text).of(expression)

    def _docstring(self) -> str:
        return f'"""Carried over from `{self._task.symbol}` in {self._task.file}, line {self._task.line}."""'

    def _with_imports(self, code: str, body: CarriedBody) -> str:
        code = self._with_error_tuples(code)
        try:
            names = free_names(code)
        except SyntaxError:
            names = set()
        names |= {name for name in ("Any", "Literal", "datetime", "decimal", "uuid", "Context") if re.search(rf"(?<![\w.]){name}\b", code)}
        imports, stubs = [], []
        for name in sorted(names):
            if name == CELERY_TASK and body.uses_task:
                imports.append(self._task_import())
                continue
            found = f"import {self._source.place.module.name} as {name}" if name == CELERY_MODULE else self._import(name)
            if found is None:
                stubs.append(name)
            else:
                imports.append(found)
        if stubs:
            imports.append(_STANDARD["Any"])
            code = (
                "\n".join(f"{name}: Any = ...  # TODO(migrate): bound where the task is defined; give it its value" for name in stubs)
                + f"\n\n\n{code}"
            )
        return _file(self._task.name, list(dict.fromkeys(imports)), code)

    def _with_error_tuples(self, code: str) -> str:
        """`_errors(X)` is a class or a tuple of classes: what `autoretry_for=X` may be."""
        if "_errors(" not in code:
            return code
        return re.sub(r"_errors\(([^()]*)\)", self._error_tuple, code)

    def _error_tuple(self, match: re.Match[str]) -> str:
        expression = ast.parse(match[1], mode="eval").body
        full = self._project.full_name(expression, self._source.place)
        values, _ = self._project.values(full) if full else ([], None)
        return match[1] if values else f"({match[1]},)"

    def _import(self, name: str) -> str | None:
        own = _own_import(name)
        found, _ = import_of(name, self._source.place)
        if own is not None and (found is None or found.strip() == own or name in _RUNTIME):
            return own
        if found is not None:
            return found
        return own

    def _task_import(self) -> str:
        module, symbol = self._source.place.module.name, self._task.symbol
        if self._source.class_name is None:
            return f"from {module} import {symbol.partition('.')[0]} as {CELERY_TASK}"
        name = self._source.class_name.rpartition(".")[2]
        module = self._source.class_name.rpartition(".")[0]
        return f"from {module} import {name}\n\n{CELERY_TASK} = {name}()"

    def unbuilt(self, why: str) -> HandlerModule:
        """A handler that only says why there is none."""
        decision = Decision(self._task.line, why, blocks=True)
        code = [
            todo(decision),
            f"@handler({self._task.name!r})",
            f"async def {self._function}() -> None:",
            f"    {self._docstring()}",
            f"    raise NotImplementedError({decision.text!r})",
        ]
        text = _file(self._task.name, ["from event_handlers import handler"], "\n".join(code) + "\n")
        return HandlerModule(
            self._source, self._module_name, self._function, text, [decision], [], in_thread=False, touches=[], jittered=False
        )


def _file(task: str, imports: list[str], code: str) -> str:
    return "\n".join([f'"""Handler of `{_quoted(task)}`."""', "", "from __future__ import annotations", "", *imports, "", "", code])


def _own_import(name: str) -> str | None:
    return f"from event_handlers import {name}" if name in _RUNTIME else _STANDARD.get(name)


def _identifier(name: str) -> str:
    cleaned = re.sub(r"\W", "_", name)
    usable = cleaned.isidentifier() and not keyword.iskeyword(cleaned) and cleaned not in (*_RUNTIME, *_STANDARD)
    return cleaned if usable else f"{cleaned}_handler"


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rpartition(".")[2]).lower()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")
