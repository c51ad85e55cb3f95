"""What a task touches, as far as source shows: its own calls, and those of the project's functions it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway.migrate.finding import Touch
from gateway.migrate.name import FunctionNode, dotted
from gateway.migrate.project import Place, Project
from gateway.migrate.standing import PURE_BUILTINS, Standing, Values, is_pure_name

__all__ = ["touches_of"]

_PREFIXES: tuple[tuple[str, str], ...] = (
    ("requests.", "http"), ("httpx.", "http"), ("urllib.request", "http"), ("urllib3.", "http"), ("aiohttp.", "http"),
    ("smtplib.", "email"), ("aiosmtplib.", "email"), ("django.core.mail", "email"),
    ("django.core.cache", "cache"), ("redis.", "cache"), ("django_redis.", "cache"),
    ("django.db", "sql"), ("sqlalchemy.", "sql"), ("sqlite3.", "sql"), ("psycopg", "sql"), ("pymysql.", "sql"),
    ("boto3.", "files"), ("shutil.", "files"), ("tempfile.", "files"), ("pathlib.", "files"),
    ("os.remove", "files"), ("os.rename", "files"),
    ("os.makedirs", "files"), ("os.unlink", "files"), ("os.mkdir", "files"), ("django.core.files", "files"), ("io.open", "files"),
    ("subprocess.", "processes"), ("multiprocessing.", "processes"), ("os.system", "processes"), ("os.kill", "processes"),
    ("threading.", "threads"), ("concurrent.futures", "threads"), ("asyncio.", "threads"),
    ("time.sleep", "waits"), ("random.", "chance"), ("uuid.uuid4", "chance"), ("secrets.", "chance"),
    ("time.time", "clock"), ("datetime.datetime.now", "clock"), ("datetime.datetime.utcnow", "clock"), ("datetime.date.today", "clock"),
    ("django.utils.timezone.now", "clock"), ("django.utils.timezone.localtime", "clock"),
    ("celery.chain", "tasks"), ("celery.group", "tasks"), ("celery.chord", "tasks"),
)  # fmt: skip
_METHODS = {
    "delay": "tasks", "apply_async": "tasks", "send_task": "tasks",
    "save": "sql", "bulk_create": "sql", "bulk_update": "sql", "get_or_create": "sql", "update_or_create": "sql", "objects": "sql",
    "query": "sql", "execute": "sql", "commit": "sql", "refresh_from_db": "sql", "atomic": "sql", "filter": "sql", "on_commit": "sql",
    "sendmail": "email", "send_mail": "email", "email_user": "email", "send_messages": "email",
    "write_text": "files", "write_bytes": "files",
    "read_text": "files", "read_bytes": "files", "unlink": "files", "urlopen": "http",
}  # fmt: skip
_PURE_METHODS_WORDS = """
    append extend insert pop remove clear copy count index sort reverse items keys values get setdefault update add discard union join
    split strip lstrip rstrip lower upper title capitalize startswith endswith replace format encode decode isdigit isalpha partition
    rpartition splitlines zfill rsplit ljust rjust total_seconds isoformat strftime date hexdigest digest group groups match search
    sub findall info debug warning error exception critical log most_common difference intersection quantize weekday timestamp hour
    bit_length casefold raise_for_status json model_dump model_dump_json to_dict as_dict is_integer fromisoformat attach_alternative
    set_content
"""
_PURE_METHODS = frozenset(_PURE_METHODS_WORDS.split())
_CHANGING = frozenset({"append", "extend", "insert", "pop", "remove", "clear", "reverse", "sort", "setdefault", "update", "add", "discard"})
# Naming these is no use of them, and what they give is plain.
_OF_MOMENTS = frozenset({None, "chance", "clock", "waits"})
_OF_THE_TASK = frozenset({"retry", "update_state"})
# Which of their arguments is called: the first, or one by keyword.
_CALLING_FIRST = frozenset(
    {"map", "filter", "iter", "functools.reduce", "functools.partial", "itertools.starmap", "collections.defaultdict"}
)
_CALLING_KEYWORDS = frozenset({"key", "default_factory", "default", "object_hook"})
_MAX_DEPTH = 3
_MAX_FUNCTIONS = 40


@dataclass(frozen=True, slots=True)
class _Look:
    """A function to look into."""

    node: FunctionNode
    place: Place
    depth: int = 0
    line: int | None = None
    """Of the task, that led here."""
    given: Standing = Standing.UNKNOWN
    decorates: bool = False
    """Calling what it is given is calling the task's own function."""


def touches_of(node: FunctionNode, place: Place, project: Project, *, bound: bool = False, below: Sequence[ast.expr] = ()) -> list[Touch]:
    """What the function touches, each kind once, at the first line that shows it.

    `bound` tells that its first parameter is the task object; `below` are decorators that run with it. `unknown` stands for calls
    nothing is known of: only what is proven to work on Python's own values is left out.
    """
    found: dict[str, Touch] = {}
    seen: set[tuple[str, Standing]] = set()
    waiting = [_Look(node, place, given=Standing.PAYLOAD)]
    positional = [*node.args.posonlyargs, *node.args.args]
    task = positional[0].arg if bound and positional else None
    for decorator in below:
        waiting += _decorator(decorator, place, project, found)
    while waiting and len(seen) < _MAX_FUNCTIONS:
        look = waiting.pop(0)
        reading = _Reading(look, project, task if look.depth == 0 else None)
        for line, kind, callee, given in reading.found():
            shown = line if look.line is None else look.line
            if callee is None:
                found.setdefault(kind, Touch(kind, shown, look.depth > 0))
            elif (callee, given) not in seen:
                seen.add((callee, given))
                called, where = project.definition(callee) or (None, place)
                if isinstance(called, FunctionNode) and look.depth < _MAX_DEPTH and not called.decorator_list:
                    waiting.append(_Look(called, where, look.depth + 1, shown, given))
                elif not _is_plain_class(called):
                    found.setdefault("unknown", Touch("unknown", shown, look.depth > 0))
    if waiting:
        found.setdefault("unknown", Touch("unknown", node.lineno, deeper=True))
    return sorted(found.values(), key=lambda touch: (touch.line, touch.kind))


def _decorator(decorator: ast.expr, place: Place, project: Project, found: dict[str, Touch]) -> Iterator[_Look]:
    """The project's own decorator, to be looked into. What is known of another is put into `found`."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    full = project.full_name(called, place) or ""
    defined = project.definition(full)
    if defined is not None and isinstance(defined[0], FunctionNode) and not defined[0].decorator_list:
        yield _Look(defined[0], defined[1], 1, decorator.lineno, decorates=True)
    elif not is_pure_name(full):
        kind = _kind(full) or "unknown"
        found.setdefault(kind, Touch(kind, decorator.lineno, deeper=True))


def _kind(full: str) -> str | None:
    return next((kind for prefix, kind in _PREFIXES if full.startswith(prefix)), None)


_Found = tuple[int, str, str | None, Standing]
"""Line, kind, and the project's function to look into instead of a kind, with the standing of what it is given."""


class _Reading:
    """One function, read for what it touches."""

    def __init__(self, look: _Look, project: Project, task: str | None) -> None:
        self._node = look.node
        self._inside = look.place.inside(look.node)
        self._project = project
        self._values = Values(look.node, self._inside, project, look.given, task=task)
        self._tasks = {task, look.node.name, "current_task"} if look.depth == 0 else set()
        self._own = {part.name for part in ast.walk(look.node) if isinstance(part, FunctionNode) and part is not look.node}
        if look.depth == 0:
            self._own.add(look.node.name)
        if look.decorates:
            self._own |= {part.arg for part in ast.walk(look.node) if isinstance(part, ast.arg)}

    def found(self) -> Iterator[_Found]:
        """Every touch."""
        parts = [inner for statement in self._node.body for inner in ast.walk(statement)]
        longer = {id(part.func) for part in parts if isinstance(part, ast.Call)} | {
            id(part.value) for part in parts if isinstance(part, ast.Attribute)
        }
        for part in parts:
            match part:
                case ast.Global(lineno=line) | ast.Nonlocal(lineno=line):
                    yield line, "global state", None, Standing.UNKNOWN
                case ast.Call(func=ast.Name(id="open"), lineno=line):
                    yield line, "files", None, Standing.UNKNOWN
                case ast.Call():
                    yield from self._call(part)
                case ast.Import(names=names) if all(is_pure_name(alias.name) for alias in names):
                    pass
                case ast.ImportFrom(module=str(module), level=0) if is_pure_name(module):
                    pass
                case ast.With() | ast.AsyncWith() | ast.Import() | ast.ImportFrom() | ast.Await():
                    yield part.lineno, "unknown", None, Standing.UNKNOWN
                case ast.Subscript(value=owner, ctx=ast.Store() | ast.Del()) | ast.Attribute(value=owner, ctx=ast.Store() | ast.Del()):
                    yield from self._changed(owner, part.lineno)
                case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()) if id(part) not in longer:
                    yield from self._reference(part)

    def _call(self, call: ast.Call) -> Iterator[_Found]:
        function, line = call.func, call.lineno
        full = self._full(function)
        kind = _kind(full)
        if kind is None and isinstance(function, ast.Attribute) and not is_pure_name(full):
            chain = [*(dotted(function) or [function.attr])]
            kind = next((_METHODS[name] for name in reversed(chain) if name in _METHODS), None)
            kind = kind or next(
                (
                    made
                    for maker in self._values.makers(function.value)
                    if (made := _kind(maker) or _METHODS.get(maker.rpartition(".")[2])) not in _OF_MOMENTS
                ),
                None,
            )
        if kind is not None:
            yield line, kind, None, Standing.UNKNOWN
        elif full and self._project.definition(full) is not None:
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            yield line, "", full, min((self._values.of(argument) for argument in arguments), default=Standing.PLAIN)
        elif isinstance(function, ast.Attribute) and function.attr in _CHANGING and self._is_state(function.value):
            yield line, "global state", None, Standing.UNKNOWN
        elif not self._is_pure(function, full) or not all(self._is_harmless(given) for given in _called_back(call, full)):
            yield line, "unknown", None, Standing.UNKNOWN

    def _changed(self, owner: ast.expr, line: int) -> Iterator[_Found]:
        """An item or attribute is set: of a value of the function's own that is nobody's business."""
        if self._is_state(owner):
            yield line, "global state", None, Standing.UNKNOWN
        elif self._values.of_owner(owner) is Standing.UNKNOWN:
            yield line, "unknown", None, Standing.UNKNOWN

    def _reference(self, part: ast.Name | ast.Attribute) -> Iterator[_Found]:
        """What is named may be called by whoever gets it."""
        full = self._full(part)
        kind = _kind(full) or next((_METHODS[name] for name in reversed(dotted(part) or []) if name in _METHODS), None)
        defined = self._project.definition(full) if full else None
        if kind not in _OF_MOMENTS:
            yield part.lineno, str(kind), None, Standing.UNKNOWN
        elif defined is not None and isinstance(defined[0], FunctionNode) and defined[0] is not self._node:
            yield part.lineno, "", full, Standing.PAYLOAD

    def _full(self, expression: ast.expr) -> str:
        parts = dotted(expression)
        if parts is None or self._values.is_local(parts[0]):
            return ""
        return self._project.full_name(expression, self._inside) or ""

    def _is_state(self, expression: ast.expr) -> bool:
        """Whether a value outlives the call: it is in the task object, or a plain one of a module."""
        root = expression
        while isinstance(root, ast.Attribute | ast.Subscript):
            root = root.value
        if not isinstance(root, ast.Name) or root.id in self._tasks:
            return isinstance(root, ast.Name)
        return not self._values.is_local(root.id) and self._values.of(expression) is not Standing.UNKNOWN

    def _is_pure(self, function: ast.expr, full: str) -> bool:
        if full and is_pure_name(full):
            return True
        if isinstance(function, ast.Name):
            return function.id in self._own or self._is_built_in(function)
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr in _OF_THE_TASK and isinstance(function.value, ast.Name) and function.value.id in self._tasks:
            return True
        standing = self._values.of_owner(function.value)
        allowed = _PURE_METHODS - _CHANGING if standing is Standing.PAYLOAD else _PURE_METHODS
        return standing is not Standing.UNKNOWN and function.attr in allowed

    def _is_built_in(self, name: ast.Name) -> bool:
        bound = any(name.id in names.targets or name.id in names.values or name.id in names.unknown for names in self._inside.scopes)
        return name.id in PURE_BUILTINS and not bound

    def _is_harmless(self, function: ast.expr) -> bool:
        """Whether a function that is given away to be called touches nothing, or is looked into where it is named."""
        if isinstance(function, ast.Lambda | ast.Constant):
            return True
        if isinstance(function, ast.Name) and (function.id in self._own or self._is_built_in(function)):
            return True
        full = self._full(function)
        defined = self._project.definition(full) if full else None
        return is_pure_name(full) or isinstance(defined and defined[0], FunctionNode)


def _called_back(call: ast.Call, full: str) -> list[ast.expr]:
    """The arguments that whoever is called calls."""
    name = full or (call.func.id if isinstance(call.func, ast.Name) else "")
    first = call.args[:1] if name in _CALLING_FIRST and (name != "iter" or len(call.args) > 1) else []
    return [*first, *(keyword.value for keyword in call.keywords if keyword.arg in _CALLING_KEYWORDS and not _is_default(keyword, name))]


def _is_default(keyword: ast.keyword, name: str) -> bool:
    return keyword.arg == "default" and not name.startswith("json.")


def _is_plain_class(node: ast.AST | None) -> bool:
    """A class that does nothing of its own when it is made: an error, a record."""
    return isinstance(node, ast.ClassDef) and not any(
        isinstance(part, FunctionNode) and part.name in ("__init__", "__new__", "__post_init__") for part in node.body
    )
