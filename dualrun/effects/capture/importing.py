"""Tells when a module has been imported, without importing it."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import TypeAlias

__all__ = ["OnImported", "when_imported"]

OnImported: TypeAlias = Callable[[ModuleType], None]


def when_imported(name: str, then: OnImported) -> None:
    """Call `then` with the module: at once if it is imported already, else right after its body has run, before its importer sees it."""
    module = sys.modules.get(name)
    if module is not None:
        then(module)
    else:
        sys.meta_path.insert(0, _Finder(name, then))


class _Finder(importlib.abc.MetaPathFinder):
    """Stands first in `sys.meta_path`, lets the others find the module, and wraps the loader they name."""

    def __init__(self, name: str, then: OnImported) -> None:
        self._name = name
        self._then = then

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._name or self not in sys.meta_path:
            return None
        # Removed first: the search below goes through sys.meta_path again, and one import is all there is to see.
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is None:
            # Not installed. It may be one day (a test, an extended sys.path), so keep watching.
            sys.meta_path.insert(0, self)
            return None
        if spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._then)
        return spec


class _Loader(importlib.abc.Loader):
    """Loads as the real loader does, then tells."""

    def __init__(self, loader: importlib.abc.Loader, then: OnImported) -> None:
        self._loader = loader
        self._then = then

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module keeps its real loader: importlib.resources and pkgutil ask it for more than loading.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._then(module)
