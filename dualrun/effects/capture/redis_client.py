"""redis-py, sync and async: reads go out, a shadow's writes do not."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.capture.redis_cluster import asking, patch_pipeline, permitting
from dualrun.effects.capture.redis_command import Command, asked_of, keep_reply, reads, reply_of
from dualrun.effects.execution import current_execution
from dualrun.effects.guard import permitted
from dualrun.errors import ShadowRefused

__all__ = ["patch"]


def patch(_library: ModuleType) -> None:
    """Put the capture into `execute_command`, and into pipelines, which send the commands they have collected."""
    client, aio = importlib.import_module("redis.client"), importlib.import_module("redis.asyncio.client")
    client.Redis.execute_command = _executing(client.Redis.execute_command)
    client.Pipeline.immediate_execute_command = _executing(client.Pipeline.immediate_execute_command)
    client.Pipeline.execute = _piping(client.Pipeline.execute, client.Redis.execute_command)
    aio.Redis.execute_command = _executing_async(aio.Redis.execute_command)
    aio.Pipeline.immediate_execute_command = _executing_async(aio.Pipeline.immediate_execute_command)
    aio.Pipeline.execute = _piping_async(aio.Pipeline.execute, aio.Redis.execute_command)
    cluster, aio_cluster = importlib.import_module("redis.cluster"), importlib.import_module("redis.asyncio.cluster")
    cluster.RedisCluster.execute_command = _executing(cluster.RedisCluster.execute_command)
    aio_cluster.RedisCluster.execute_command = _executing_async(aio_cluster.RedisCluster.execute_command)
    patch_pipeline(cluster, awaited=False)
    patch_pipeline(aio_cluster, awaited=True)
    for module in (cluster, aio_cluster):
        # Asks the nodes who they are, which changes nothing.
        module.NodesManager.initialize = asking(module.NodesManager.initialize)
    aio_cluster.RedisCluster.initialize = asking(aio_cluster.RedisCluster.initialize)
    for subscribing in (client.PubSub, aio.PubSub, cluster.ClusterPubSub):
        subscribing.execute_command = _subscribing(subscribing.execute_command)
        # It listens, says that it is still there, and subscribes again where the connection was lost.
        subscribing.parse_response = asking(subscribing.parse_response)
        subscribing.check_health = asking(subscribing.check_health)
    for pipeline in (client.Pipeline, aio.Pipeline):
        # Takes back what it watched.
        pipeline.reset = asking(pipeline.reset)


def _subscribing(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def subscribing(self: object, *command: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis, awaited in its asynchronous half
        run = current_execution()
        if run is None:
            return execute(self, *command, **options)
        if run.shadow and not reads(command):
            raise ShadowRefused(f"a shadow may not send {command[0]} over a connection that subscribes: use the client itself")
        return permitting(execute, self, *command, **options)

    return subscribing


def _executing(execute: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def executing(self: object, *command: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return execute(self, *command, **options)
        with permitted():
            if reads(command):
                return execute(self, *command, **options)
            asked = asked_of(run, command)
            if not asked.perform:
                return reply_of(asked, command)
            try:
                reply = execute(self, *command, **options)
            except Exception as exc:
                asked.note.failed(type(exc).__name__)
                raise
            keep_reply(asked, reply)
            return reply

    return executing


def _executing_async(execute: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(execute)
    async def executing(self: object, *command: Any, **options: Any) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return await execute(self, *command, **options)
        with permitted():
            if reads(command):
                return await execute(self, *command, **options)
            asked = asked_of(run, command)
            if not asked.perform:
                return reply_of(asked, command)
            try:
                reply = await execute(self, *command, **options)
            except Exception as exc:
                asked.note.failed(type(exc).__name__)
                raise
            keep_reply(asked, reply)
            return reply

    return executing


def _piping(execute: Callable[..., Any], execute_command: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(execute)
    def piping(self: Any, raise_on_error: bool = True) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return execute(self, raise_on_error)
        commands = _collected(self)
        with permitted():
            if run.shadow:
                plain = _client_of(self)
                self.reset()
                return [execute_command(plain, *command, **options) for command, options in commands]
            noted = [None if reads(command) else asked_of(run, command) for command, _ in commands]
            replies = execute(self, raise_on_error)
        for asked, reply in zip(noted, replies, strict=False):
            if asked is not None:
                keep_reply(asked, reply)
        return replies

    return piping


def _piping_async(execute: Callable[..., Awaitable[Any]], execute_command: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(execute)
    async def piping(self: Any, raise_on_error: bool = True) -> Any:  # noqa: ANN401 - as in redis
        run = current_execution()
        if run is None:
            return await execute(self, raise_on_error)
        commands = _collected(self)
        with permitted():
            if run.shadow:
                plain = _client_of(self)
                await self.reset()
                return [await execute_command(plain, *command, **options) for command, options in commands]
            noted = [None if reads(command) else asked_of(run, command) for command, _ in commands]
            replies = await execute(self, raise_on_error)
        for asked, reply in zip(noted, replies, strict=False):
            if asked is not None:
                keep_reply(asked, reply)
        return replies

    return piping


def _collected(pipeline: Any) -> list[tuple[Command, dict[str, Any]]]:  # noqa: ANN401
    return [(tuple(command), dict(options)) for command, options in pipeline.command_stack]


def _client_of(pipeline: Any) -> Any:  # noqa: ANN401
    """A client on the pipeline's pool, whose commands are run one by one."""
    for kind in type(pipeline).__mro__:
        if kind.__name__ == "Redis":
            return kind(connection_pool=pipeline.connection_pool)
    return pipeline
