"""The legacy side: Celery messages on the broker its workers consume from."""

from __future__ import annotations

from collections.abc import Sequence

from celery import Celery

from dualrun.broker import Broker, Outgoing
from dualrun.contracts import ServedTask, Side, Work
from dualrun.errors import BrokerError
from gateway.core.errors import DispatchFailed
from gateway.dispatch.celery_message import CeleryMessages
from gateway.dispatch.failure import dispatch_failed

__all__ = ["CeleryDispatcher"]


class CeleryDispatcher:
    """Publishes through the `Broker` port: mandatory and confirmed. `app` lends its message format only; none is needed."""

    def __init__(self, broker: Broker, *, app: Celery | None = None) -> None:
        self._broker = broker
        self._messages = CeleryMessages(app)

    @property
    def side(self) -> Side:
        return Side.LEGACY

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the broker confirmed the message. Raises `DispatchFailed`."""
        outgoing = self._messages.outgoing(work, served)
        try:
            await self._broker.publish(outgoing.exchange, outgoing.routing_key, outgoing.message)
        except BrokerError as exc:
            raise dispatch_failed(self.side, exc) from exc

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each, all in flight at once."""
        built = [self._built(work, served) for work, served in batch]
        messages = [item for item in built if isinstance(item, Outgoing)]
        answers = iter(await self._broker.publish_many(messages))
        return [item if isinstance(item, DispatchFailed) else self._answer(next(answers)) for item in built]

    def _built(self, work: Work, served: ServedTask) -> Outgoing | DispatchFailed:
        try:
            return self._messages.outgoing(work, served)
        except DispatchFailed as exc:
            return exc

    def _answer(self, error: BrokerError | None) -> DispatchFailed | None:
        return None if error is None else dispatch_failed(self.side, error)
