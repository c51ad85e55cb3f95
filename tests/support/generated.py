"""A project of a few lines, the handlers generated from it, and both as modules that run."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from celery import _state

from event_handlers import collect_handlers
from gateway.migrate import read_path
from gateway.migrate.generate.module import HandlerModule
from gateway.migrate.generate.plan import Plan, plan_files
from gateway.migrate.generate.writing import write_files

__all__ = ["APP", "Generated", "generated_from"]

APP = "from celery import Celery\napp = Celery('proj', set_as_current=False)\n"
"""How a source begins: an application that no other test sees."""


@dataclass(frozen=True)
class Generated:
    """What was generated."""

    plan: Plan
    folder: Path

    def module(self, task: str) -> HandlerModule:
        """The handler of one task, as it was planned."""
        return next(module for module in self.plan.modules if module.source.task.name == task)

    def text(self, task: str) -> str:
        """Its file."""
        return self.plan.files[f"handlers/{self.module(task).name}.py"]

    def decisions(self, task: str) -> list[str]:
        """What is left to a person."""
        return [decision.text for decision in self.module(task).decisions]

    def imported(self, task: str) -> ModuleType:
        """Its module, as a worker collects it."""
        name = f"made.handlers.{self.module(task).name}"
        assert collect_handlers(name).find(task) is not None
        return importlib.import_module(name)

    def run(self, task: str, *args: object) -> object:
        """What the handler's function gives."""
        registered = collect_handlers(self.imported(task).__name__).find(task)
        assert registered is not None
        given = registered.function(*args)
        assert inspect.iscoroutine(given)
        return asyncio.run(given)


@contextmanager
def generated_from(folder: Path, files: Mapping[str, str]) -> Iterator[Generated]:
    """Write source files, generate, and make both importable for as long as this is entered."""
    known, shared = set(sys.modules), set(_state._on_app_finalizers)
    for name, text in files.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    plan = plan_files(read_path(folder / "source"), source="proj")
    write_files(folder / "made", plan.files)
    sys.path[:0] = [str(folder), str(folder / "source")]
    try:
        yield Generated(plan, folder)
    finally:
        # `app.task` has every application made later take the task too, those of other tests among them.
        _state._on_app_finalizers.intersection_update(shared)
        del sys.path[:2]
        for name in set(sys.modules) - known:
            if name.partition(".")[0] in {"made", *(file.partition("/")[0].removesuffix(".py") for file in files)}:
                del sys.modules[name]
