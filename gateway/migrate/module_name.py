"""The name a module is imported by, from its place and from how the project itself imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gateway.migrate.source import Source

__all__ = ["imported_names", "module_name"]


def imported_names(tree: ast.Module) -> Iterator[str]:
    """Every absolute name a module imports, and the package each is in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (part for alias in node.names for part in (alias.name, alias.name.partition(".")[0]))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (node.module, node.module.partition(".")[0])
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(source: Source, imported: set[str]) -> tuple[str, bool]:
    """The name, and whether it is certain.

    `__init__.py` files tell a regular package's root. A namespace package has none: there the longest name the project imports itself
    decides, and without one the root is a guess.
    """
    for start in range(source.root + 1):
        candidate = ".".join(source.parts[start:])
        if candidate in imported and start < source.root:
            return candidate, True
    own = ".".join(source.parts[source.root :])
    if own in imported or (source.certain and source.parts[source.root] in imported):
        return own, True
    # A repository that is itself a package by its `__init__.py`, and is never imported as one.
    for start in range(source.root + 1, len(source.parts) - 1):
        candidate = ".".join(source.parts[start:])
        if candidate in imported or (source.certain and source.parts[start] in imported):
            return candidate, True
    return own, source.certain
