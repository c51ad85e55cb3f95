"""Scanning: sources in, findings out. Nothing of the scanned project is imported or run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.migrate.beat_fixture import fixture_schedules
from gateway.migrate.call_site import call_sites_of
from gateway.migrate.constant import evaluate_or_text
from gateway.migrate.finding import CallSite, Route, Scan, Schedule, Totals, Unparsed
from gateway.migrate.module_name import imported_names, module_name
from gateway.migrate.name import names_of
from gateway.migrate.newer_syntax import lowered
from gateway.migrate.project import Module, Project
from gateway.migrate.setting import settings_of
from gateway.migrate.source import Source, read_sources
from gateway.migrate.task_finder import Registry, TaskFinder, TaskSource

__all__ = ["Reading", "read_path", "scan_path", "scan_sources"]

Found = TypeVar("Found")
Setting = TypeVar("Setting", Schedule, Route)
_TOO_DEEP = "nested too deeply to be read"
_NOT_FOR_SYNTAX = (_TOO_DEEP, "too many nested parentheses", "too many levels of indentation")


@dataclass(frozen=True, slots=True)
class Reading:
    """A scan together with the source it was made from."""

    scan: Scan
    project: Project
    sources: list[TaskSource]
    """In the order of the scan's tasks."""


def scan_path(path: Path) -> Scan:
    """Everything the Python files under `path` say about their Celery tasks."""
    return read_path(path).scan


def read_path(path: Path, told: Callable[[int, int], None] | None = None) -> Reading:
    """The same, with the source of every task. `told` hears after each file how many are parsed, and of how many."""
    sources = list(read_sources(path))
    return _Scanning(_counted(sources, told) if told is not None else sources, fixture_schedules(path)).read()


def _counted(sources: Sequence[Source | Unparsed], told: Callable[[int, int], None]) -> Iterator[Source | Unparsed]:
    for number, source in enumerate(sources, 1):
        yield source
        told(number, len(sources))


def scan_sources(sources: Iterable[Source | Unparsed], schedules: Iterable[Schedule] = ()) -> Scan:
    """The same for sources at hand, with `schedules` known beside them; what cannot be read is listed only."""
    return _Scanning(sources, schedules).read().scan


class _Scanning:
    """One scan."""

    def __init__(self, sources: Iterable[Source | Unparsed], schedules: Iterable[Schedule]) -> None:
        self._schedules = list(schedules)
        self._unparsed: list[Unparsed] = []
        self._files = 0
        self._lines = 0
        parsed = [found for source in sources if (found := self._parsed(source)) is not None]
        imported = {name for source, tree in parsed for name in imported_names(tree)}
        self._modules = [module for source, tree in parsed if (module := self._module(source, tree, imported)) is not None]
        self._project = Project(self._modules)

    def _parsed(self, source: Source | Unparsed) -> tuple[Source, ast.Module] | None:
        self._files += 1
        if isinstance(source, Unparsed):
            self._unparsed.append(source)
            return None
        self._lines += source.text.count("\n") + 1
        parsed = parse(source)
        if isinstance(parsed, Unparsed):
            self._unparsed.append(parsed)
            return None
        return parsed

    def _module(self, source: Source, tree: ast.Module, imported: set[str]) -> Module | None:
        name, certain = module_name(source, imported)
        package = name if source.is_package else name.rpartition(".")[0]
        found: list[Module] = []

        def build() -> None:
            found.append(Module(name, certain, source.file, package, tree, names_of(tree.body, name, package), source.text))

        self._attempt(source.file, build)
        return found[0] if found else None

    def _attempt(self, file: str, read: Callable[[], None]) -> None:
        """Read one file; what is nested too deeply for the interpreter costs that file alone."""
        try:
            read()
        except (RecursionError, MemoryError):
            if all(unparsed.file != file for unparsed in self._unparsed):
                self._unparsed.append(Unparsed(file, None, _TOO_DEEP))

    def read(self) -> Reading:
        """Tasks first: what stands for a task must be known before its call sites."""
        finder = TaskFinder(self._project)
        for module in self._modules:
            self._attempt(module.file, partial(finder.read, module))
        registry = finder.finish()
        sites: list[CallSite] = []
        settings: list[Schedule | Route] = [*self._periodic(registry), *self._schedules]
        for module in self._modules:
            self._attempt(module.file, partial(_extend, sites, call_sites_of(module, self._project, registry.names)))
            self._attempt(module.file, partial(_extend, settings, settings_of(module, self._project, registry.names)))
        by_task = {id(source.task): source for source in registry.sources}
        return Reading(self._result(registry, sites, settings), self._project, [by_task[id(task)] for task in registry.tasks])

    def _periodic(self, registry: Registry) -> list[Schedule | Route]:
        kept = {id(task) for task in registry.tasks}
        return [
            Schedule(task.file, task.line, task.name, _plain(evaluate_or_text(self._project, when.value, when.place)))
            for task, when in registry.periodic
            if id(task) in kept
        ]

    def _result(self, registry: Registry, sites: list[CallSite], settings: list[Schedule | Route]) -> Scan:
        schedules = _distinct([found for found in settings if isinstance(found, Schedule)])
        routes = _distinct([found for found in settings if isinstance(found, Route)])
        sites = sorted(sites, key=lambda site: (site.file, site.line))
        unparsed = sorted(self._unparsed, key=lambda entry: entry.file)
        totals = Totals(self._files, self._lines, len(registry.tasks), len(sites), len(schedules), len(routes), len(unparsed))
        return Scan(registry.tasks, sites, schedules, routes, unparsed, totals)


def parse(source: Source) -> tuple[Source, ast.Module] | Unparsed:
    """The source that was read and its syntax tree, or why there is none. Syntax this interpreter does not know is lowered first."""
    tree = _tree(source)
    if isinstance(tree, ast.Module):
        return source, tree
    text = lowered(source.text) if tree.reason not in _NOT_FOR_SYNTAX else None
    if text is not None:
        plainer = replace(source, text=text)
        if isinstance(again := _tree(plainer), ast.Module):
            return plainer, again
    return tree


def _tree(source: Source) -> ast.Module | Unparsed:
    try:
        with warnings.catch_warnings():
            # An invalid escape in somebody's source is not ours to warn of.
            warnings.simplefilter("ignore")
            return ast.parse(source.text)
    except SyntaxError as exc:
        return Unparsed(source.file, exc.lineno, exc.msg or "syntax error")
    except ValueError as exc:
        return Unparsed(source.file, None, str(exc))
    except (RecursionError, MemoryError):
        return Unparsed(source.file, None, _TOO_DEEP)


def _extend(found: list[Found], more: Iterable[Found]) -> None:
    found.extend(more)


def _plain(value: object) -> str | float | None:
    return value if isinstance(value, str | int | float) else None


def _distinct(found: list[Setting]) -> list[Setting]:
    """Each once, in the order of files and lines."""
    kept: dict[tuple[str, int, str | None, str], Setting] = {}
    for setting in found:
        # Two entries of one task on one line differ in what they say.
        said = repr((setting.when, setting.args, setting.kwargs) if isinstance(setting, Schedule) else setting.route)
        kept.setdefault((setting.file, setting.line, setting.task, said), setting)
    return sorted(kept.values(), key=lambda setting: (setting.file, setting.line))
