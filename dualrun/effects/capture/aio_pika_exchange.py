"""aio-pika: messages that a handler publishes by a channel of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.capture.http_call import body_of
from dualrun.effects.capture.message import publishing
from dualrun.effects.execution import current_execution

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture into `Exchange.publish`, the default exchange's too. dualrun's own broker adapter publishes underneath it."""
    library.Exchange.publish = _captured(library.Exchange.publish)


def _captured(publish: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(publish)
    async def captured(self: Any, message: Any, routing_key: str, **options: Any) -> Any:  # noqa: ANN401 - as in aio-pika
        if current_execution() is None:
            return await publish(self, message, routing_key, **options)
        with publishing(self.name, routing_key, body_of(message.content_type or "", message.body)) as perform:
            return await publish(self, message, routing_key, **options) if perform else None

    return captured
