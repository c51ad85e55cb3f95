"""What handlers need beside their payload: opened once a process, before the first event, and closed after the last."""

from __future__ import annotations

import inspect
import typing
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, get_type_hints

from dualrun.errors import ConfigurationError

__all__ = ["Dependency", "OpenDependencies", "dependency", "needs_of"]


class Dependency:
    """Something to be opened. It stands in the annotation of whoever needs it: `Annotated[AsyncClient, http_client]`."""

    def __init__(self, open_it: Callable[..., AbstractAsyncContextManager[object]], origin: str, needs: Mapping[str, Dependency]) -> None:
        self.open = open_it
        self.origin = origin
        """Where it is written, `module:name`."""
        self.needs = needs
        """Other dependencies, by parameter."""

    def __repr__(self) -> str:
        return f"dependency {self.origin}"


def dependency(function: Callable[..., AsyncIterator[object]]) -> Dependency:
    """Make an async generator function a dependency: what it yields is injected, what follows the yield closes it.

        @dependency
        async def http_client() -> AsyncIterator[httpx.AsyncClient]:
            async with httpx.AsyncClient(timeout=5.0) as client:
                yield client

        @handler("order.ship")
        async def ship(order_id: int, *, http: Annotated[httpx.AsyncClient, http_client]) -> None: ...

    Its own parameters may be dependencies, annotated alike, and nothing else. Raises `ConfigurationError`.
    """
    origin = f"{function.__module__}:{function.__qualname__}"
    if not inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{origin} is no dependency: write an `async def` that yields once")
    hints = get_type_hints(function, include_extras=True)
    needs = needs_of(hints)
    strange = [name for name in inspect.signature(function).parameters if name not in needs]
    if strange:
        raise ConfigurationError(f"{origin}: nobody gives parameter {strange[0]!r}: annotate it Annotated[type, another_dependency]")
    return Dependency(asynccontextmanager(function), origin, needs)


def needs_of(hints: Mapping[str, Any]) -> dict[str, Dependency]:
    """The annotations that name a dependency."""
    return {name: found for name, hint in hints.items() if name != "return" and (found := _named_in(hint)) is not None}


def _named_in(hint: object) -> Dependency | None:
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    return next((extra for extra in typing.get_args(hint)[1:] if isinstance(extra, Dependency)), None)


class OpenDependencies:
    """Dependencies of one process. What `replaced` names is not opened: that value is given instead."""

    def __init__(self, replaced: Mapping[Dependency, object] | None = None) -> None:
        self._values: dict[Dependency, object] = dict(replaced or {})
        self._stack = AsyncExitStack()

    async def open(self, wanted: Iterable[Dependency]) -> None:
        """Open what is wanted and what that needs, each once. Raises whatever opening raises, with everything closed again."""
        try:
            for each in wanted:
                await self._open(each)
        except BaseException:
            await self.close()
            raise

    async def _open(self, wanted: Dependency) -> object:
        if wanted not in self._values:
            given = {name: await self._open(needed) for name, needed in wanted.needs.items()}
            self._values[wanted] = await self._stack.enter_async_context(wanted.open(**given))
        return self._values[wanted]

    def given(self, needs: Mapping[str, Dependency]) -> dict[str, object]:
        """The opened values, by parameter."""
        return {name: self._values[needed] for name, needed in needs.items()}

    async def close(self) -> None:
        """Close what was opened, the last first."""
        await self._stack.aclose()
