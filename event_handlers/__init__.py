"""The new world: handlers of events, and the worker that runs them. It needs neither Celery nor the gateway.

    from event_handlers import Context, handler

    @handler("order.send_order_confirmation", max_attempts=3)
    async def send_order_confirmation(order_id: int, email: str, *, ctx: Context) -> None: ...

Run them with `python -m event_handlers --handlers proj.handlers --service shop`.
"""

from __future__ import annotations

from dualrun.broker import Exchange, ExchangeKind
from dualrun.contracts import Event
from event_handlers.breaker import Breaker, BreakerState
from event_handlers.bus import EventBus
from event_handlers.circuit_guard import CircuitOpen
from event_handlers.context import Context, current_context
from event_handlers.definition import EventHandler, Handler, handler
from event_handlers.dependencies import Dependency, OpenDependencies, dependency
from event_handlers.history import EventHistory
from event_handlers.payload import InvalidPayload
from event_handlers.policy import DoNotRetry, NotNow, Policy, Retry, TimeLimitExceeded
from event_handlers.publisher import EventPublisher
from event_handlers.registry import HandlerRegistry, collect_handlers
from event_handlers.replying import RequestFailed
from event_handlers.resilience import BulkheadFull, ResilienceManager
from event_handlers.routing import HeadersMatch
from event_handlers.runtime import EventWorker

__all__ = [
    "Breaker",
    "BreakerState",
    "BulkheadFull",
    "CircuitOpen",
    "Context",
    "Dependency",
    "DoNotRetry",
    "Event",
    "EventBus",
    "EventHandler",
    "EventHistory",
    "EventPublisher",
    "EventWorker",
    "Exchange",
    "ExchangeKind",
    "Handler",
    "HandlerRegistry",
    "HeadersMatch",
    "InvalidPayload",
    "NotNow",
    "OpenDependencies",
    "Policy",
    "RequestFailed",
    "ResilienceManager",
    "Retry",
    "TimeLimitExceeded",
    "collect_handlers",
    "current_context",
    "dependency",
    "handler",
]
