"""The names generated source adds to a task's own, spelled so that none hides a name the task uses."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ["OwnNames", "bound_names", "identifiers", "own_imports"]

_RUNTIME = frozenset({"Context", "DoNotRetry", "Retry", "handler"})
_FROM = {**dict.fromkeys(_RUNTIME, "event_handlers"), **dict.fromkeys(("Any", "Literal", "TYPE_CHECKING", "no_type_check"), "typing")}
_MODULES = frozenset({"asyncio", "datetime", "decimal", "httpx", "sys", "uuid"})
_BUILT_IN = frozenset(dir(builtins))


@dataclass(slots=True)
class OwnNames:
    """Stands for each name until all of the source is there: only then is it known which are free.

    `text` is the task's module, in which no stand-in occurs.
    """

    text: str
    _mark: str = "own"
    _wanted: dict[str, tuple[str, str]] = field(default_factory=dict)
    _imports: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        while f"_{self._mark}__" in self.text:
            self._mark += "_own"

    def use(self, name: str) -> str:
        """What to write for a name of the runtime, of the standard library, or of a variable of ours."""
        return f"_{self._mark}__{name}__"

    def add(self, name: str, wanted: str, other: str, statement: str = "") -> str:
        """What to write for a name that is `wanted` if that is free, else `other`; `statement` imports it, with `{}` for the name."""
        self._wanted[name] = (wanted, other)
        if statement:
            self._imports[name] = statement
        return self.use(name)

    def is_own(self, name: str) -> bool:
        """Whether a name is a stand-in."""
        return re.fullmatch(self._pattern, name) is not None

    def spell(self, text: str, same: Iterable[str]) -> tuple[str, list[str]]:
        """Source with every stand-in spelled, and the imports those need. Raises `SyntaxError`.

        `same` are the task's names that stand for what ours of that spelling would.
        """
        used = list(dict.fromkeys(re.findall(self._pattern, text)))
        taken = {name for name in identifiers(text) if not self.is_own(name)} - set(same)
        spelled: dict[str, str] = {}
        # What others are named after comes last, and gives way.
        for name in sorted(used, key=lambda name: name in self._wanted):
            spelled[name] = self._free(name, taken | set(spelled.values()))
        imports = [statement for name in used if (statement := self._import(name, spelled[name]))]
        return re.sub(self._pattern, lambda match: spelled[match[1]], text), imports

    @property
    def _pattern(self) -> str:
        return rf"(?<!\w)_{self._mark}__(\w+?)__(?!\w)"

    def _free(self, name: str, taken: set[str]) -> str:
        if name in self._wanted:
            wanted, other = self._wanted[name]
        elif name in _MODULES:
            wanted, other = name, f"{name}_module"
        else:
            wanted, other = name, f"Event{name}" if name[0].isupper() else f"event_{name}"
        while wanted in taken or wanted in _BUILT_IN:
            wanted, other = other, f"{other}_"
        return wanted

    def _import(self, name: str, spelled: str) -> str:
        if name in self._imports:
            statement = self._imports[name].replace("{}", spelled)
            return re.sub(r"^(from .*)\b(\w+) as \2$", r"\1\2", statement)
        if name in _MODULES:
            return f"import {name}" + ("" if name == spelled else f" as {spelled}")
        if name in _FROM:
            return f"from {_FROM[name]} import {name}" + ("" if name == spelled else f" as {spelled}")
        return ""


def own_imports() -> Mapping[str, str]:
    """The statement that imports each name of the runtime and of the standard library under the name it has there."""
    return {**{name: f"import {name}" for name in _MODULES}, **{name: f"from {source} import {name}" for name, source in _FROM.items()}}


def identifiers(code: str) -> set[str]:
    """Every name a piece of source reads or binds, whatever it stands for. Raises `SyntaxError`."""
    found = bound_names(ast.parse(code))
    return found | {part.id for part in ast.walk(ast.parse(code)) if isinstance(part, ast.Name)}


def bound_names(node: ast.AST) -> set[str]:
    """The names bound anywhere in a tree: assigned, imported, defined, or taken as parameters."""
    found: set[str] = set()
    for part in ast.walk(node):
        match part:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.alias(name=name, asname=asname):
                found.add(asname or name.partition(".")[0])
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                found.update(names)
    return found
