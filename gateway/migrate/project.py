"""The scanned project: its modules, and what a name written somewhere in it stands for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gateway.migrate.name import Definition, Names, dotted, names_of, parameter_nodes

__all__ = ["Module", "Place", "Project", "walk"]

_MAX_HOPS = 25


@dataclass(frozen=True, slots=True, eq=False)
class Module:
    """One parsed file."""

    name: str
    certain: bool
    file: str
    package: str
    tree: ast.Module
    names: Names
    text: str = ""
    """As it was parsed: positions in `tree` are in here."""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where an expression is written, and so what its names mean."""

    module: Module
    scopes: tuple[Names, ...]
    """Innermost first; the module's own is last."""
    path: tuple[str, ...] = ()
    repeated: bool = False
    """Inside a loop: what is defined here is defined many times."""

    @property
    def full_name(self) -> str:
        """The full name of the block."""
        return ".".join((self.module.name, *self.path))

    def inside(self, node: Definition) -> Place:
        """The place of a function's or class's body."""
        path = (*self.path, node.name)
        prefix = ".".join((self.module.name, *path))
        parameters = [] if isinstance(node, ast.ClassDef) else parameter_nodes(node.args)
        names = names_of(node.body, prefix, self.module.package, parameters, is_class=isinstance(node, ast.ClassDef))
        # A class's names are not visible in its methods.
        outer = tuple(scope for scope in self.scopes if not scope.is_class)
        return Place(self.module, (names, *outer), path, self.repeated)

    def inside_lambda(self, node: ast.Lambda) -> Place:
        """The place of a lambda's body."""
        names = Names(self.full_name, unknown={parameter.arg for parameter in parameter_nodes(node.args)})
        return replace(self, scopes=(names, *self.scopes))


class Project:
    """Modules by name."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self.modules: dict[str, Module] = {}
        for module in modules:
            self.modules.setdefault(module.name, module)

    def place_of(self, module: Module) -> Place:
        """The place of a module's own statements."""
        return Place(module, (module.names,))

    def full_name(self, expression: ast.expr, place: Place, hops: int = 0) -> str | None:
        """The full name a dotted expression stands for, through imports and aliases; None where only running would tell."""
        parts = dotted(expression)
        if parts is None or hops > _MAX_HOPS:
            return None
        for names in place.scopes:
            found, full = self._bound(names, parts, place, hops)
            if found:
                return full
        for star in place.module.names.stars:
            if self.defines(f"{star}.{parts[0]}", hops + 1):
                return self.canonical(".".join([star, *parts]), hops + 1)
        return None

    def _bound(self, names: Names, parts: list[str], place: Place, hops: int) -> tuple[bool, str | None]:
        head = parts[0]
        if (target := names.targets.get(head)) is not None:
            return True, self.canonical(".".join([target, *parts[1:]]), hops + 1)
        if head in names.unknown:
            return True, None
        if (values := names.values.get(head)) is None:
            return False, None
        alias = self.full_name(values[0], place, hops + 1) if len(values) == 1 and dotted(values[0]) not in (None, [head]) else None
        return True, self.canonical(".".join([alias or f"{names.prefix}.{head}", *parts[1:]]), hops + 1)

    def split(self, full: str) -> tuple[Module | None, list[str]]:
        """The module a full name starts with, and what follows."""
        parts = full.split(".")
        for length in range(len(parts), 0, -1):
            if (module := self.modules.get(".".join(parts[:length]))) is not None:
                return module, parts[length:]
        return None, parts

    def canonical(self, full: str, hops: int = 0) -> str:
        """The full name where it is defined, not where it was imported from."""
        module, rest = self.split(full)
        if module is None or not rest or hops > _MAX_HOPS:
            return full
        head, tail = rest[0], rest[1:]
        target = module.names.targets.get(head)
        if target is not None:
            same = target == f"{module.name}.{head}"
            return full if same else self.canonical(".".join([target, *tail]), hops + 1)
        values = module.names.values.get(head, [])
        if len(values) == 1 and dotted(values[0]) not in (None, [head]):
            alias = self.full_name(values[0], self.place_of(module), hops + 1)
            return self.canonical(".".join([alias, *tail]), hops + 1) if alias else full
        if not values:
            for star in module.names.stars:
                if self.defines(f"{star}.{head}", hops + 1):
                    return self.canonical(".".join([star, *rest]), hops + 1)
        return full

    def defines(self, full: str, hops: int = 0) -> bool:
        """Whether the project binds this name."""
        module, rest = self.split(full)
        if module is None or hops > _MAX_HOPS:
            return False
        if not rest:
            return True
        names = module.names
        bound = rest[0] in names.targets or rest[0] in names.values
        return bound or any(self.defines(f"{star}.{rest[0]}", hops + 1) for star in names.stars)

    def definition(self, full: str) -> tuple[Definition, Place] | None:
        """The function or class of a canonical name, and where it is written."""
        module, rest = self.split(full)
        if module is None or not rest:
            return None
        place = self.place_of(module)
        for depth, name in enumerate(rest):
            node = place.scopes[0].definitions.get(name)
            if node is None:
                return None
            if depth == len(rest) - 1:
                return node, place
            place = place.inside(node)
        return None

    def values(self, full: str) -> tuple[list[ast.expr], Place]:
        """What is assigned to a canonical name, in its module or class."""
        module, rest = self.split(full)
        if module is None or not rest:
            return [], Place(_NOWHERE, (_NOWHERE.names,))
        place = self.place_of(module)
        for name in rest[:-1]:
            node = place.scopes[0].definitions.get(name)
            if node is None:
                return [], place
            place = place.inside(node)
        return place.scopes[0].values.get(rest[-1], []), place


_NOWHERE = Module("", False, "", "", ast.Module(body=[], type_ignores=[]), Names(""))


def walk(place: Place) -> Iterator[tuple[ast.AST, ast.AST | None, Place]]:
    """Every node of a module with its parent and place, in the order of the source. Not recursive: depth costs nothing."""
    stack: list[tuple[ast.AST, ast.AST | None, Place]] = [(node, None, place) for node in reversed(place.module.tree.body)]
    while stack:
        node, parent, here = stack.pop()
        yield node, parent, here
        if isinstance(node, Definition | ast.Lambda):
            inner, inside = _inner(node, here)
            children = reversed(list(ast.iter_child_nodes(node)))
            stack.extend((child, node, inside if id(child) in inner else here) for child in children)
            continue
        if isinstance(node, ast.For | ast.AsyncFor | ast.While):
            here = replace(here, repeated=True)
        stack.extend((child, node, here) for child in reversed(list(ast.iter_child_nodes(node))))


def _inner(node: Definition | ast.Lambda, here: Place) -> tuple[set[int], Place]:
    """The children that are inside the new block, by identity, and its place."""
    if isinstance(node, ast.Lambda):
        return {id(node.body)}, here.inside_lambda(node)
    return {id(child) for child in node.body}, here.inside(node)
