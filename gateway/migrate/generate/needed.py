"""The imports a piece of generated source needs, from what its names meant where they were written."""

from __future__ import annotations

import ast
import builtins
import symtable

from gateway.migrate.name import statements
from gateway.migrate.project import Module, Place

__all__ = ["free_names", "import_of"]

_BUILT_IN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


def free_names(text: str) -> set[str]:
    """Names a module's source uses and does not bind. Raises `SyntaxError`."""
    table = symtable.symtable(text, "generated", "exec")
    bound = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()}
    used: set[str] = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        used |= {symbol.get_name() for symbol in inner.get_symbols() if symbol.is_global()}
        waiting.extend(inner.get_children())
    return used - bound - _BUILT_IN


def import_of(name: str, place: Place) -> tuple[str | None, bool]:
    """The statement that brings a name of `place`'s module, and whether it comes from that module itself.

    None where the name is bound in a function around it, or by nothing the source shows.
    """
    module = place.module
    for scope in place.scopes[:-1]:
        if not scope.is_class and (name in scope.targets or name in scope.values or name in scope.unknown):
            return None, False
    binders = [statement for statement in statements(module.tree.body) if _binds(statement, name)]
    if len(binders) == 1 and binders[0] in module.tree.body:
        if isinstance(binders[0], ast.Import):
            return _plain_import(binders[0], name), False
        if isinstance(binders[0], ast.ImportFrom):
            return _from_import(binders[0], name, module), False
    if binders and all(isinstance(binder, ast.Import) for binder in binders) and all(binder in module.tree.body for binder in binders):
        return "\n".join(_plain_import(binder, name) for binder in binders if isinstance(binder, ast.Import)), False
    names = module.names
    if name in names.targets or name in names.values or name in names.unknown or names.stars:
        return f"from {module.name} import {name}", True
    return None, False


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
