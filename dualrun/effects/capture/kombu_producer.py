"""kombu: messages that a task publishes by a producer of its own."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from dualrun.effects.capture.http_call import body_of
from dualrun.effects.capture.message import publishing
from dualrun.effects.execution import current_execution
from dualrun.effects.guard import permitted

__all__ = ["patch"]


def patch(library: ModuleType) -> None:
    """Put the capture into `Producer.publish`. Celery's own publishing is noted as the task it starts, outside of any execution here."""
    library.Producer.publish = _captured(library.Producer.publish)
    connection = importlib.import_module("kombu.connection").Connection
    connection._close = _permitting(connection._close)  # noqa: SLF001 - release, collect and the end of a block come here


def _captured(publish: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(publish)
    def captured(self: Any, body: Any, routing_key: str | None = None, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - as in kombu
        if current_execution() is None:
            return publish(self, body, routing_key, *args, **options)
        exchange = options.get("exchange") or self.exchange
        key = self.routing_key if routing_key is None else routing_key
        content = body_of(options.get("content_type") or "", body.encode() if isinstance(body, str) else body) if _is_raw(body) else body
        with publishing(str(getattr(exchange, "name", exchange) or ""), key or "", content) as perform:
            return publish(self, body, routing_key, *args, **options) if perform else None

    return captured


def _permitting(close: Callable[..., None]) -> Callable[..., None]:
    """A goodbye to the broker is no effect."""

    @wraps(close)
    def closing(self: object) -> None:
        with permitted():
            close(self)

    return closing


def _is_raw(body: object) -> bool:
    return isinstance(body, str | bytes)
