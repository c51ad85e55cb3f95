"""The imports a piece of generated source needs, from what its names meant where they were written."""

from __future__ import annotations

import ast
import builtins
import symtable
from dataclasses import dataclass

from gateway.migrate.name import dotted, statements
from gateway.migrate.project import Module, Place

__all__ = ["BUILT_IN", "Needed", "free_names", "import_of"]

BUILT_IN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__", "__class__"}


@dataclass(frozen=True, slots=True)
class Needed:
    """How a name of a task's module is brought into another."""

    statement: str
    typing_only: bool = False
    """Bound for type checkers alone."""


def free_names(text: str) -> set[str]:
    """Names a module's source uses and does not bind, built-in ones among them. Raises `SyntaxError`."""
    table = symtable.symtable(text, "generated", "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}
    used: set[str] = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        used |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global()}
        waiting.extend(inner.get_children())
    return used - bound


def import_of(name: str, place: Place) -> Needed | None:
    """What brings a name of `place`'s module, or a built-in that this module gives a meaning of its own.

    None where the name is bound in a function around it, or by nothing the source shows.
    """
    module = place.module
    for scope in place.scopes[:-1]:
        if not scope.is_class and (name in scope.targets or name in scope.values or name in scope.unknown):
            return None
    typing = _for_type_checkers(module)
    binders = [statement for statement in statements(module.tree.body) if _binds(statement, name)]
    checked = bool(binders) and all(binder in typing for binder in binders)
    on_top = checked or all(binder in module.tree.body for binder in binders)
    if len(binders) == 1 and on_top and isinstance(binders[0], ast.ImportFrom):
        return Needed(_from_import(binders[0], name, module), checked)
    if binders and on_top and all(isinstance(binder, ast.Import) for binder in binders):
        return Needed("\n".join(_plain_import(binder, name) for binder in binders if isinstance(binder, ast.Import)), checked)
    names = module.names
    if name in names.targets or name in names.values or name in names.unknown or (names.stars and name not in BUILT_IN):
        return Needed(f"from {module.name} import {name}", checked)
    return None


def _for_type_checkers(module: Module) -> list[ast.stmt]:
    """The statements under `if TYPE_CHECKING:`."""
    return [
        inner
        for statement in module.tree.body
        if isinstance(statement, ast.If) and (dotted(statement.test) or [""])[-1] == "TYPE_CHECKING"
        for inner in statements(statement.body)
    ]


def _binds(statement: ast.stmt, name: str) -> bool:
    match statement:
        case ast.Import(names=names):
            return any((alias.asname or alias.name.partition(".")[0]) == name for alias in names)
        case ast.ImportFrom(names=names):
            return any((alias.asname or alias.name) == name for alias in names)
        case ast.FunctionDef(name=own) | ast.AsyncFunctionDef(name=own) | ast.ClassDef(name=own):
            return own == name
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.With():
            return any(isinstance(part, ast.Name) and part.id == name and isinstance(part.ctx, ast.Store) for part in ast.walk(statement))
    return False


def _plain_import(statement: ast.Import, name: str) -> str:
    found = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) == name]
    return "\n".join(f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "") for alias in found)


def _from_import(statement: ast.ImportFrom, name: str, module: Module) -> str:
    alias = next(alias for alias in statement.names if (alias.asname or alias.name) == name)
    source = statement.module or ""
    if statement.level:
        package = module.package.split(".") if module.package else []
        source = ".".join([*package[: len(package) - statement.level + 1], *([source] if source else [])])
    return f"from {source} import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
