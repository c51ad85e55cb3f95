"""Calls to what may be slow, down or overrun: retried, timed, bounded in number, broken off, replaced."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, wait_random_exponential

from dualrun.breakers import BreakerBoard, BreakerState
from event_handlers.breaker import Breaker
from event_handlers.circuit_guard import CircuitGuard, CircuitOpen
from event_handlers.context import is_in_shadow
from event_handlers.policy import NotNow

__all__ = ["BulkheadFull", "CircuitOpen", "ResilienceManager", "transient_errors"]

log = logging.getLogger(__name__)
T = TypeVar("T")


class BulkheadFull(NotNow):
    """As many calls as are allowed are under way. Let out of a handler, the event waits and no attempt is counted."""

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(1.0, f"{limit} calls of {name!r} are under way already")
        self.name = name


_OF_CLIENTS = {
    "httpx": ("TransportError",),
    "aiohttp": ("ClientConnectionError", "ClientPayloadError"),
    "requests": ("ConnectionError", "Timeout"),
    "redis.exceptions": ("ConnectionError", "TimeoutError"),
    "aiosmtplib": ("SMTPConnectError", "SMTPServerDisconnected", "SMTPTimeoutError"),
}
"""Errors of the line, by the client that raises them; not those an answer stands for."""


def transient_errors() -> tuple[type[Exception], ...]:
    """What another try may mend: lost and refused connections and timeouts, of Python's own and of the clients that are imported."""
    found: list[type[Exception]] = [OSError, TimeoutError]
    for module, names in _OF_CLIENTS.items():
        found += [getattr(sys.modules[module], name) for name in names if hasattr(sys.modules.get(module), name)]
    return tuple(found)


class ResilienceManager:
    """Calls by name; those of one name share a circuit and a bulkhead.

    Circuits are shared by all processes through the board, where none is given through that of the worker whose handler calls: a worker
    with `DUALRUN_REDIS_URL` has one. In a shadow neither circuits nor bulkheads count: it must not hold up the authority.
    """

    def __init__(self, board: BreakerBoard | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard = CircuitGuard(board, clock=clock)
        self._under_way: dict[str, int] = {}

    async def execute_with_resilience(
        self,
        name: str,
        fn: Callable[..., Awaitable[T]],
        *args: Any,  # noqa: ANN401 - handed on to fn
        use_retry: bool = False,
        max_retries: int = 3,
        retry_delay_s: float = 0.1,
        max_retry_delay_s: float = 5.0,
        retry_on: tuple[type[Exception], ...] | None = None,
        timeout_s: float | None = None,
        max_concurrent: int | None = None,
        breaker: Breaker | None = None,
        fallback: Callable[[Exception], Awaitable[T]] | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed on to fn
    ) -> T:
        """What `fn(*args, **kwargs)` returns; of its errors, the last one is raised, or given to `fallback`.

        With `use_retry`, errors of `retry_on` (None: `transient_errors`) are followed by up to `max_retries` more calls, after a random
        wait that doubles from `retry_delay_s` up to `max_retry_delay_s`. For waits of more than seconds let the error out: the event's own
        retries need no worker meanwhile. `timeout_s` is for one call and ends it with `TimeoutError`. `max_concurrent` calls of this name
        may be under way, a further one raises `BulkheadFull`. With a `breaker`, those errors open the circuit; while it is open calls
        raise `CircuitOpen`.
        """
        counted = transient_errors() if retry_on is None else retry_on

        async def call() -> T:
            async with self._guard.guarding(name, breaker, counted), self._bulkhead(name, max_concurrent), asyncio.timeout(timeout_s):
                return await fn(*args, **kwargs)

        try:
            if not use_retry:
                return await call()
            retrying = AsyncRetrying(
                stop=stop_after_attempt(max_retries + 1),
                wait=wait_random_exponential(multiplier=retry_delay_s, max=max_retry_delay_s),
                retry=retry_if_exception(lambda error: isinstance(error, counted) and not isinstance(error, NotNow)),
                before_sleep=lambda state: _note_retry(name, state),
                reraise=True,
            )
            return await retrying(call)
        except Exception as exc:
            if fallback is None:
                raise
            log.info("fallback_taken", extra={"call": name, "error": type(exc).__name__})
            return await fallback(exc)

    def states(self) -> Mapping[str, BreakerState]:
        """Every circuit there is, by name."""
        return self._guard.states()

    @asynccontextmanager
    async def _bulkhead(self, name: str, limit: int | None) -> AsyncIterator[None]:
        if limit is None or is_in_shadow():
            yield
            return
        under_way = self._under_way.get(name, 0)
        if under_way >= limit:
            raise BulkheadFull(name, limit)
        self._under_way[name] = under_way + 1
        try:
            yield
        finally:
            self._under_way[name] -= 1


def _note_retry(name: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.info("call_retried", extra={"call": name, "attempt": state.attempt_number, "error": type(error).__name__})
