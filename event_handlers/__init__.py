"""The new world: handlers of events, and the worker that runs them. It needs neither Celery nor the gateway.

    from event_handlers import Context, handler

    @handler("order.send_order_confirmation", max_attempts=3)
    async def send_order_confirmation(order_id: int, email: str, *, ctx: Context) -> None: ...

Run them with `python -m event_handlers --handlers proj.handlers --service shop`.
"""

from __future__ import annotations

from dualrun.contracts import Event
from event_handlers.bus import EventBus
from event_handlers.context import Context, current_context
from event_handlers.definition import EventHandler, Handler, handler
from event_handlers.payload import InvalidPayload
from event_handlers.policy import DoNotRetry, Policy, Retry, TimeLimitExceeded
from event_handlers.publisher import EventPublisher
from event_handlers.registry import HandlerRegistry, collect_handlers
from event_handlers.runtime import EventWorker

__all__ = [
    "Context",
    "DoNotRetry",
    "Event",
    "EventBus",
    "EventHandler",
    "EventPublisher",
    "EventWorker",
    "Handler",
    "HandlerRegistry",
    "InvalidPayload",
    "Policy",
    "Retry",
    "TimeLimitExceeded",
    "collect_handlers",
    "current_context",
    "handler",
]
