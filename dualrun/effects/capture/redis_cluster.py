"""redis-py's clients of a cluster, sync and async: commands as by any other client, pipelines without their writes in a shadow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from inspect import isawaitable
from types import ModuleType
from typing import Any

from dualrun.effects.asking import Asked
from dualrun.effects.capture.redis_command import Command, asked_of, keep_reply, reads, reply_of
from dualrun.effects.execution import Execution, current_execution
from dualrun.effects.guard import permitted
from dualrun.errors import ShadowRefused

__all__ = ["asking", "patch_pipeline", "permitting"]

Noted = Sequence["tuple[Command, dict[str, Any], Asked | None]"]


def patch_pipeline(module: ModuleType, *, awaited: bool) -> None:
    """Put the capture into `ClusterPipeline`, which collects commands for all nodes and sends them together."""
    pipeline = module.ClusterPipeline
    pipeline.execute_command = _collecting(pipeline.execute_command)
    if hasattr(pipeline, "watch"):
        pipeline.watch = asking(pipeline.watch)
    pipeline.reset = asking(pipeline.reset)
    pipeline.execute = (_piping_async if awaited else _piping)(pipeline.execute)


def _collecting(collect: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(collect)
    def collecting(self: Any, *command: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        strategy = getattr(self, "_execution_strategy", None)
        at_once = getattr(strategy, "_watching", False) and not getattr(strategy, "_explicit_transaction", False)
        if run is not None and run.shadow and at_once and not reads(command):
            raise ShadowRefused(f"a shadow may not send {command[0]} to a cluster between WATCH and MULTI: it would be done at once")
        if run is None:
            return collect(self, *command, **options)
        with permitted():
            return collect(self, *command, **options)

    return collecting


def _piping(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def piping(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return execute(self, *args, **options)
        noted = _noted(run, self)
        with permitted():
            if run.shadow:
                self.reset()
                _collect_again(self, noted)
            replies = execute(self, *args, **options) if _any_left(run, noted) else []
        return _answered(run, noted, replies)

    return piping


def _piping_async(execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(execute)
    async def piping(self: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return await execute(self, *args, **options)
        noted = _noted(run, self)
        with permitted():
            if run.shadow:
                await self.reset()
                _collect_again(self, noted)
            replies = await execute(self, *args, **options) if _any_left(run, noted) else []
        return _answered(run, noted, replies)

    return piping


def _noted(run: Execution, pipeline: Any) -> Noted:  # noqa: ANN401
    """The commands that were collected, each write noted. Where they are kept has changed from release to release."""
    strategy = getattr(pipeline, "_execution_strategy", pipeline)
    kept = ("_command_queue", "command_stack", "_command_stack")
    collected: Sequence[Any] = next((found for name in kept if (found := getattr(strategy, name, None)) is not None), ())
    commands = [(tuple(one.args), dict(getattr(one, "options", None) or getattr(one, "kwargs", None) or {})) for one in collected]
    return [(command, options, None if reads(command) else asked_of(run, command)) for command, options in commands]


def _collect_again(pipeline: Any, noted: Noted) -> None:  # noqa: ANN401
    for command, options, asked in noted:
        if asked is None:
            pipeline.execute_command(*command, **options)


def _any_left(run: Execution, noted: Noted) -> bool:
    return not run.shadow or any(asked is None for _, _, asked in noted)


def _answered(run: Execution, noted: Noted, replies: Sequence[Any]) -> Sequence[Any]:
    if run.shadow:
        left = iter(replies)
        return [next(left) if asked is None else reply_of(asked, command) for command, _, asked in noted]
    for (_, _, asked), reply in zip(noted, replies, strict=False):
        if asked is not None:
            keep_reply(asked, reply)
    return replies


def asking(ask: Callable[..., Any]) -> Callable[..., Any]:
    """What only asks, and connects for it."""

    @wraps(ask)
    def permitted_to_ask(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis, awaited in its asynchronous half
        return ask(*args, **options) if current_execution() is None else permitting(ask, *args, **options)

    return permitted_to_ask


def permitting(execute: Callable[..., Any], *args: Any, **options: Any) -> Any:  # noqa: ANN401
    """Call it, and await what it may answer with, as what was judged."""
    with permitted():
        answer = execute(*args, **options)
    return _awaiting(answer) if isawaitable(answer) else answer


async def _awaiting(answer: Awaitable[Any]) -> Any:  # noqa: ANN401
    with permitted():
        return await answer
