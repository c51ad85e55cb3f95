"""What a task touches, as far as source shows: its own calls, and those of the project's functions it calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gateway.migrate.finding import Touch
from gateway.migrate.name import FunctionNode, dotted
from gateway.migrate.project import Place, Project

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
_PURE_MODULES = frozenset(
    {"math", "json", "re", "string", "itertools", "functools", "operator", "collections", "decimal", "datetime", "time", "random", "uuid",
     "hashlib", "hmac", "base64", "copy", "logging", "textwrap", "statistics", "fractions", "dataclasses", "enum", "typing", "urllib.parse",
     "celery.utils.log", "email", "warnings", "bisect", "heapq", "zlib", "struct", "event_handlers"}
)  # fmt: skip
_PURE_BUILTINS_WORDS = """
    abs all any ascii bin bool bytes bytearray callable chr complex dict dir divmod enumerate filter float format frozenset getattr
    hasattr hash hex id int isinstance issubclass iter len list map max min next object oct ord pow range repr reversed round set
    slice sorted str sum super tuple type vars zip print Exception ValueError TypeError KeyError RuntimeError LookupError IndexError
    ArithmeticError ZeroDivisionError OSError ConnectionError TimeoutError NotImplementedError AssertionError AttributeError
    StopIteration
"""
_PURE_BUILTINS = frozenset(_PURE_BUILTINS_WORDS.split())
_PURE_METHODS_WORDS = """
    retry update_state
    append extend insert pop remove clear copy count index sort reverse items keys values get setdefault update add discard union join
    split strip lstrip rstrip lower upper title capitalize startswith endswith replace format encode decode isdigit isalpha partition
    rpartition splitlines zfill rsplit ljust rjust total_seconds isoformat strftime date hexdigest digest group groups match search
    sub findall info debug warning error exception critical log most_common difference intersection quantize weekday timestamp hour
    bit_length casefold raise_for_status json model_dump model_dump_json to_dict as_dict is_integer fromisoformat attach_alternative
    set_content
"""
_PURE_METHODS = frozenset(_PURE_METHODS_WORDS.split())
_MAX_DEPTH = 3
_MAX_FUNCTIONS = 40


def touches_of(node: FunctionNode, place: Place, project: Project) -> list[Touch]:
    """What the function touches, each kind once, at the first line that shows it. `unknown` stands for calls nothing is known of."""
    found: dict[str, Touch] = {}
    seen: set[str] = set()
    waiting: list[tuple[FunctionNode, Place, int, int | None]] = [(node, place, 0, None)]
    while waiting and len(seen) < _MAX_FUNCTIONS:
        current, where, depth, at = waiting.pop(0)
        inside = where.inside(current)
        own = {part.name for part in ast.walk(current) if isinstance(part, FunctionNode)}
        for line, kind, callee in _of_function(current, inside, project, own):
            shown = line if at is None else at
            if callee is None:
                found.setdefault(kind, Touch(kind, shown, depth > 0))
            elif callee not in seen:
                seen.add(callee)
                defined = project.definition(callee)
                if defined is not None and isinstance(defined[0], FunctionNode) and depth < _MAX_DEPTH and not defined[0].decorator_list:
                    waiting.append((defined[0], defined[1], depth + 1, shown))
                elif defined is None or not _is_plain_class(defined[0]):
                    found.setdefault("unknown", Touch("unknown", shown, depth > 0))
    return sorted(found.values(), key=lambda touch: (touch.line, touch.kind))


def _of_function(node: FunctionNode, inside: Place, project: Project, own: set[str]) -> Iterator[tuple[int, str, str | None]]:
    """Line, kind, and the project's function to look into instead of a kind."""
    for part in (inner for statement in node.body for inner in ast.walk(statement)):
        match part:
            case ast.Global(lineno=line) | ast.Nonlocal(lineno=line):
                yield line, "global state", None
            case ast.Call(func=ast.Name(id="open"), lineno=line):
                yield line, "files", None
            case ast.Call(lineno=line):
                yield from _of_call(part, line, inside, project, own)
            case ast.With() | ast.AsyncWith() | ast.Import() | ast.ImportFrom() | ast.Await():
                yield part.lineno, "unknown", None


def _of_call(call: ast.Call, line: int, inside: Place, project: Project, own: set[str]) -> Iterator[tuple[int, str, str | None]]:
    function = call.func
    full = project.full_name(function, inside) or ""
    kind = next((kind for prefix, kind in _PREFIXES if full.startswith(prefix)), None)
    if kind is None and isinstance(function, ast.Attribute):
        chain = [*(dotted(function) or [function.attr])]
        kind = next((_METHODS[name] for name in reversed(chain) if name in _METHODS), None)
    if kind is not None:
        yield line, kind, None
    elif full and project.definition(full) is not None:
        yield line, "", full
    elif not _is_pure(function, full, own):
        yield line, "unknown", None


def _is_plain_class(node: ast.AST) -> bool:
    """A class that does nothing of its own when it is made: an error, a record."""
    return isinstance(node, ast.ClassDef) and not any(
        isinstance(part, FunctionNode) and part.name in ("__init__", "__new__", "__post_init__") for part in node.body
    )


def _is_pure(function: ast.expr, full: str, own: set[str]) -> bool:
    if isinstance(function, ast.Name) and (function.id in own or (function.id in _PURE_BUILTINS and not full)):
        return True
    if full and any(full.startswith(f"{module}.") for module in _PURE_MODULES):
        return True
    return isinstance(function, ast.Attribute) and function.attr in _PURE_METHODS
