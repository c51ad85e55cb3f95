"""The handlers of one service."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType

from dualrun.contracts import ServedTask
from dualrun.errors import ConfigurationError
from event_handlers.definition import EventHandler, Handler, handler_of, handlers_of

__all__ = ["HandlerRegistry", "collect_handlers", "members_of"]


class HandlerRegistry:
    """Handlers by the event type they handle. Raises `ConfigurationError` where two handle one type, naming both places."""

    def __init__(self, handlers: Iterable[Handler] = ()) -> None:
        self._by_task: dict[str, Handler] = {}
        for handler in handlers:
            present = self._by_task.setdefault(handler.task, handler)
            if present is not handler:
                raise ConfigurationError(
                    f"{handler.task!r} has two handlers, {present.origin} and {handler.origin}: one service takes one; remove or rename one"
                )

    def find(self, task: str) -> Handler | None:
        """The handler of a type; None where there is none."""
        return self._by_task.get(task)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every type handled, in order of its name."""
        return tuple(sorted(self._by_task))

    def served(self, service: str = "") -> tuple[ServedTask, ...]:
        """What a worker of the service with these handlers announces."""
        return tuple(self._by_task[task].served(service) for task in self.tasks)

    def __iter__(self) -> Iterator[Handler]:
        return iter([self._by_task[task] for task in self.tasks])

    def __len__(self) -> int:
        return len(self._by_task)


def collect_handlers(module_name: str) -> HandlerRegistry:
    """The handlers of a module, or of a package and all its submodules.

    Counted are decorated functions, and subclasses of `EventHandler` (made without arguments) or their instances. Where a module has
    `__all__`, of what it imports only that counts which stands there. Raises `ConfigurationError` where the module is not there, holds
    none, or holds two for one type.
    """
    found: dict[int, Handler] = {}
    instances: list[EventHandler] = []
    classes: list[type[EventHandler]] = []
    for candidate in members_of(module_name):
        handler = handler_of(candidate)
        if handler is not None:
            found[id(handler)] = _outermost(handler, candidate)
        elif isinstance(candidate, EventHandler):
            instances.append(candidate)
        elif inspect.isclass(candidate) and issubclass(candidate, EventHandler) and not inspect.isabstract(candidate):
            classes.append(candidate)
    made = _distinct(instances)
    made += [_instance_of(kind) for kind in dict.fromkeys(classes) if not any(type(instance) is kind for instance in made)]
    handlers = [*found.values(), *(handler for instance in made for handler in handlers_of(instance))]
    if not handlers:
        raise ConfigurationError(f"no handler in {module_name!r}: decorate an async function with @handler, or subclass EventHandler")
    return HandlerRegistry(handlers)


def members_of(module_name: str) -> Iterator[object]:
    """What the modules of `collect_handlers` hold and do not merely import. Raises `ConfigurationError` where the module is not there."""
    for module in _modules(module_name):
        yield from _members(module)


def _modules(module_name: str) -> Iterator[ModuleType]:
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        # Only the module itself: one that is missing inside it is the user's error, with the user's traceback.
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise
        raise ConfigurationError(f"no module named {module_name!r} to take handlers from (DUALRUN_HANDLERS, --handlers)") from exc
    yield module
    for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module_name}."):
        if not info.name.endswith(".__main__"):
            yield importlib.import_module(info.name)


def _members(module: ModuleType) -> Iterator[object]:
    exported = getattr(module, "__all__", None)
    for name, member in vars(module).items():
        if member is EventHandler:
            continue
        if exported is None or name in exported or _home(member) == module.__name__:
            yield member


def _home(member: object) -> str | None:
    return getattr(member, "__module__", None)


def _outermost(handler: Handler, candidate: object) -> Handler:
    # functools.wraps copies our mark onto wrappers put around a decorated function, which the worker would then leave out.
    if handler.function is not candidate:
        raise ConfigurationError(f"{handler.origin}: put @handler above its other decorators, or they would not run")
    return handler


def _distinct(instances: list[EventHandler]) -> list[EventHandler]:
    return list({id(instance): instance for instance in instances}.values())


def _instance_of(kind: type[EventHandler]) -> EventHandler:
    try:
        return kind()
    except TypeError as exc:
        raise ConfigurationError(
            f"{kind.__module__}:{kind.__qualname__} cannot be made without arguments ({exc}): keep an instance of it in the module"
        ) from exc
