"""What sending to either side has in common, where its workers consume from a broker with confirms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dualrun.broker import Broker, Outgoing
from dualrun.contracts import ServedTask, Side, Work
from dualrun.errors import BrokerError, BrokerUnavailable
from gateway.core.errors import DispatchFailed

__all__ = ["BrokerDispatcher"]


class BrokerDispatcher(ABC):
    """Publishes through the `Broker` port: mandatory and confirmed. Implements `Dispatcher` for one side."""

    def __init__(self, broker: Broker, side: Side) -> None:
        self._broker = broker
        self._side = side

    @property
    def side(self) -> Side:
        return self._side

    async def send(self, work: Work, served: ServedTask) -> None:
        """Return once the broker confirmed the message. Raises `DispatchFailed`."""
        outgoing = self._outgoing(work, served)
        try:
            await self._broker.publish(outgoing.exchange, outgoing.routing_key, outgoing.message)
        except BrokerError as exc:
            raise self._failed(exc) from exc

    async def send_many(self, batch: Sequence[tuple[Work, ServedTask]]) -> list[DispatchFailed | None]:
        """As `send` for each, all in flight at once."""
        built = [self._built(work, served) for work, served in batch]
        answers = iter(await self._broker.publish_many([item for item in built if isinstance(item, Outgoing)]))
        return [item if isinstance(item, DispatchFailed) else self._answer(next(answers)) for item in built]

    @abstractmethod
    def _outgoing(self, work: Work, served: ServedTask) -> Outgoing:
        """The message, and where it goes. Raises `DispatchFailed` for work no message can be made of."""

    def _built(self, work: Work, served: ServedTask) -> Outgoing | DispatchFailed:
        try:
            return self._outgoing(work, served)
        except DispatchFailed as exc:
            return exc

    def _answer(self, error: BrokerError | None) -> DispatchFailed | None:
        return None if error is None else self._failed(error)

    def _failed(self, error: BrokerError) -> DispatchFailed:
        """The broker's error as the gateway's. Only a link lost before the confirm leaves open whether the message was published."""
        maybe_published = isinstance(error, BrokerUnavailable) and error.maybe_published
        return DispatchFailed(self._side, str(error), maybe_published=maybe_published)
