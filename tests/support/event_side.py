"""The event side in the test's own process: the real worker and the real dispatcher on an in-memory broker."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Decision, Mode, Outcome, Reason, Role, Side, Submission, Work
from event_handlers import EventWorker, HandlerRegistry, collect_handlers
from examples.shop.server import RunningShop
from examples.shop.traffic import Request
from gateway.dispatch.events import EventsDispatcher
from tests.support.shop import Trace, trace_of

__all__ = ["EventSide", "event_side"]

PATIENCE_S = 60.0


class EventSide:
    """Runs requests and gives their outcomes."""

    def __init__(self, broker: MemoryBroker, registry: HandlerRegistry) -> None:
        self._dispatcher = EventsDispatcher(broker)
        self._served = {served.task: served for served in registry.served()}
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    async def append(self, outcomes: Sequence[Outcome]) -> None:
        """Take the worker's outcomes."""
        for outcome in outcomes:
            waiting = self._waiting.pop(outcome.submission_id, None)
            if waiting is not None:
                waiting.set_result(outcome)

    async def outcome(self, request: Request, role: Role) -> Outcome:
        """What the handler does, retries included."""
        work = work_of(request, role)
        waiting = self._waiting[work.submission.id] = asyncio.get_running_loop().create_future()
        await self._dispatcher.send(work, self._served[request.task])
        return await asyncio.wait_for(waiting, PATIENCE_S)

    async def trace(self, shop: RunningShop, request: Request) -> Trace:
        """What the handler leaves behind in an empty shop."""
        shop.reset()
        outcome = await self.outcome(request, Role.AUTHORITY)
        return trace_of(shop, value=outcome.value, error=outcome.failure.kind if outcome.failure else None)


@asynccontextmanager
async def event_side(handlers: str = "event_handlers.handlers") -> AsyncIterator[EventSide]:
    """A worker with the handlers of a module, until the block ends."""
    broker, registry = MemoryBroker(), collect_handlers(handlers)
    await broker.connect()
    side = EventSide(broker, registry)
    worker = EventWorker(broker, registry, service="shop", sink=side)
    await worker.start()
    try:
        yield side
    finally:
        await worker.stop()
        await broker.close()


def work_of(request: Request, role: Role) -> Work:
    submission_id = str(uuid.uuid4())
    submission = Submission(
        id=submission_id,
        task=request.task,
        args=request.args,
        kwargs=request.kwargs,
        cohort_key=submission_id,
        submitted_at=datetime.now(UTC),
    )
    authority, shadow = (Side.EVENTS, None) if role is Role.AUTHORITY else (Side.LEGACY, Side.EVENTS)
    decision = Decision(mode=Mode.SHADOW, authority=authority, shadow=shadow, reason=Reason.BY_MODE, bucket=None, flag_version=1)
    return Work(submission=submission, decision=decision, side=Side.EVENTS, role=role)
