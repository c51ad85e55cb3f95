"""How handlers are written: as a function with its payload as signature, or as a class."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dualrun.contracts import Event, JsonObject, Parameter, ServedTask
from dualrun.contracts.topology import EVENTS_EXCHANGE
from dualrun.errors import ConfigurationError
from event_handlers.breaker import Breaker
from event_handlers.context import Context
from event_handlers.dependencies import Dependency, OpenDependencies
from event_handlers.payload import model_of
from event_handlers.policy import OnInboxAway, Policy
from event_handlers.threads import handler_threads

__all__ = ["EventHandler", "Handler", "handler", "handler_of", "handlers_of"]

_ATTRIBUTE = "__event_handler__"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class EventHandler(ABC):
    """A handler as a class, for those who want state or several event types in one place.

    It sees the event as it is; `current_context()` says more about the run.
    """

    policy: Policy = Policy()
    """What is done when `handle` fails."""

    @property
    @abstractmethod
    def event_types(self) -> Set[str]:
        """The types it handles, in full: no wildcards."""

    @abstractmethod
    async def handle(self, event: Event) -> object:
        """Handle one event. What it returns becomes the outcome's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """What handles one type of event."""

    task: str
    policy: Policy
    origin: str
    """Where it is written, `module:name`."""
    function: Callable[..., object]
    """What was decorated, or the method."""
    invoke: Callable[[Event, Context], Awaitable[object]]
    """Bind the payload and run. Raises `InvalidPayload` before anything of the user's has run, else what the handler raises."""
    parameters: tuple[Parameter, ...] | None = None
    schema: JsonObject | None = None
    needs: Mapping[str, Dependency] = field(default_factory=dict)
    """Parameters that are given an opened dependency."""
    invoke_with: Callable[[Mapping[str, object]], Callable[[Event, Context], Awaitable[object]]] | None = None
    """Makes an `invoke` that gives these arguments too."""

    def given(self, opened: OpenDependencies) -> Handler:
        """The handler with its dependencies."""
        if self.invoke_with is None or not self.needs:
            return self
        return replace(self, invoke=self.invoke_with(opened.given(self.needs)))

    def served(self, service: str = "") -> ServedTask:
        """What a worker of the service announces of it."""
        return ServedTask(
            task=self.task,
            parameters=self.parameters,
            schema=self.schema,
            service=service,
            exchange=EVENTS_EXCHANGE,
            routing_key=self.task,
        )


def handler(
    task: str,
    *,
    max_attempts: int = 1,
    retry_delay_s: float | Sequence[float] = 1.0,
    retry_jitter: bool = False,
    retry_on: tuple[type[Exception], ...] = (),
    time_limit_s: float | None = None,
    on_inbox_away: OnInboxAway = "run",
    breaker: Breaker | None = None,
) -> Callable[[_Function], _Function]:
    """Make a function the handler of one task: `async def`, or `def`, which runs in a thread. It can still be called directly.

    A thread cannot be cancelled: past its time limit, or when the worker stops, it goes on while its event counts as failed, or goes back.

    Its signature is the payload: annotations are checked strictly, unknown fields refused. A parameter annotated `Context` is injected, one
    annotated `Annotated[..., a_dependency]` is given what that opened. A single parameter named `payload` whose annotation is a msgspec
    Struct or a dataclass takes the whole payload.

    `max_attempts` counts the first one; another attempt follows `Retry` and the errors of `retry_on`, `retry_delay_s` seconds later
    (several: one an attempt, the last one repeats), or with `retry_jitter` after a random part of that. `time_limit_s` is for one attempt.
    Raises `ConfigurationError` at import.

    An event that was completed is not run again when its message comes twice. That is remembered in the inbox (Redis); while it is out of
    reach, `on_inbox_away="run"` runs events all the same, at least once each (logged and counted as unclaimed), and `"wait"` parks them
    until it is back.

    With a `breaker`, a handler that keeps failing (errors of `retry_on`, `Retry`, its time limit) is left in peace for a while, in every
    process of the service: its events wait, and no attempt is counted.
    """
    delays = tuple(retry_delay_s) if isinstance(retry_delay_s, Sequence) else (retry_delay_s,)
    policy = Policy(
        max_attempts=max_attempts,
        retry_delays_s=delays,
        retry_jitter=retry_jitter,
        retry_on=retry_on,
        time_limit_s=time_limit_s,
        on_inbox_away=on_inbox_away,
        breaker=breaker,
    )

    def define(function: _Function) -> _Function:
        setattr(function, _ATTRIBUTE, _from_function(task, function, policy))
        return function

    return define


def handler_of(candidate: object) -> Handler | None:
    """The handler a decorated function defines; None for anything else."""
    found = getattr(candidate, _ATTRIBUTE, None) if inspect.isroutine(candidate) else None
    return found if isinstance(found, Handler) else None


def handlers_of(instance: EventHandler) -> list[Handler]:
    """One handler for each type the instance handles."""
    kind = type(instance)

    async def invoke(event: Event, _context: Context) -> object:
        return await instance.handle(event)

    return [
        Handler(
            task=_checked_type(task, kind.__qualname__),
            policy=instance.policy,
            origin=f"{kind.__module__}:{kind.__qualname__}",
            function=instance.handle,
            invoke=invoke,
        )
        for task in sorted(instance.event_types)
    ]


def _from_function(task: str, function: Callable[..., Any], policy: Policy) -> Handler:
    origin = f"{function.__module__}:{function.__qualname__}"
    if not inspect.isfunction(function) or inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{origin} is no function that returns its result: write `async def`, or `def` to run in a thread")
    model = model_of(function)
    is_async = inspect.iscoroutinefunction(function)

    def invoke_with(given: Mapping[str, object]) -> Callable[[Event, Context], Awaitable[object]]:
        async def invoke(event: Event, context: Context) -> object:
            arguments = model.arguments_of(event.payload)
            if model.context_name is not None:
                arguments[model.context_name] = context
            arguments |= given
            return await (function(**arguments) if is_async else handler_threads.run(function, arguments))

        return invoke

    return Handler(
        task=_checked_type(task, origin),
        policy=policy,
        origin=origin,
        function=function,
        invoke=invoke_with({}),
        parameters=model.parameters,
        schema=model.schema,
        needs=model.needs,
        invoke_with=invoke_with,
    )


def _checked_type(task: str, origin: str) -> str:
    # A routing key: at most 255 bytes, and these two would bind more than was meant.
    if not task or len(task.encode()) > 255 or "*" in task or "#" in task:
        raise ConfigurationError(f"{origin}: {task!r} is no event type: 1 to 255 bytes, no wildcards (`EventBus.subscribe` takes patterns)")
    return task
