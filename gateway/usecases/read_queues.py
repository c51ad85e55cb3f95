"""How full the queues are, and who takes from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dualrun.contracts import Side
from dualrun.contracts.topology import RECORDS_QUEUE, REDIRECT_QUEUE, dead_letter_queue, service_queue, shadow_queue
from dualrun.errors import BrokerError
from gateway.core.errors import StoreUnavailable
from gateway.core.ports import Catalogue, QueueGauge

__all__ = ["QueueReading", "QueueUse", "ReadQueues"]


class QueueUse(StrEnum):
    """What waits in a queue."""

    LEGACY = "work of Celery workers"
    EVENTS = "work of event handlers"
    SHADOW = "shadows of event handlers"
    DEAD = "dead letters"
    RECORDS = "records for comparators"
    REDIRECTS = "recalled work for gateways"


@dataclass(frozen=True, slots=True)
class QueueReading:
    """One queue."""

    name: str
    use: QueueUse
    service: str = ""
    ready: int | None = None
    """Messages that wait; None where the broker does not know the queue, or cannot be asked."""
    consumers: int | None = None

    @property
    def stuck(self) -> bool:
        """Whether something waits that nobody takes; dead letters wait for people."""
        return self.use is not QueueUse.DEAD and bool(self.ready) and self.consumers == 0


class ReadQueues:
    """Asks the brokers about every queue the catalogue leads to."""

    def __init__(self, catalogue: Catalogue, events: QueueGauge, legacy: QueueGauge | None) -> None:
        self._catalogue = catalogue
        self._events = events
        self._legacy = legacy

    async def all(self) -> Sequence[QueueReading]:
        """Every queue. Raises `StoreUnavailable` where a broker is out of reach."""
        services = self.services()
        readings = [await self._read(self._legacy, name, QueueUse.LEGACY) for name in self._legacy_queues()]
        for service in services:
            for queue, use in ((service_queue(service), QueueUse.EVENTS), (shadow_queue(service), QueueUse.SHADOW)):
                readings.append(await self._read(self._events, queue, use, service))
                readings.append(await self._read(self._events, dead_letter_queue(queue), QueueUse.DEAD, service))
        readings.append(await self._read(self._events, RECORDS_QUEUE, QueueUse.RECORDS))
        readings.append(await self._read(self._events, REDIRECT_QUEUE, QueueUse.REDIRECTS))
        return readings

    async def dead_letters(self) -> Sequence[QueueReading]:
        """The queues of dead letters alone. Raises `StoreUnavailable`."""
        queues = [(service, queue) for service in self.services() for queue in (service_queue(service), shadow_queue(service))]
        return [await self._read(self._events, dead_letter_queue(queue), QueueUse.DEAD, service) for service, queue in queues]

    def services(self) -> Sequence[str]:
        """Every service that ever announced a handler."""
        served = (self._catalogue.served_by(name).get(Side.EVENTS) for name in self._catalogue.names())
        return sorted({task.service for task in served if task is not None and task.service})

    def _legacy_queues(self) -> Sequence[str]:
        served = (self._catalogue.served_by(name).get(Side.LEGACY) for name in self._catalogue.names())
        return sorted({task.routing_key for task in served if task is not None and task.routing_key})

    async def _read(self, gauge: QueueGauge | None, name: str, use: QueueUse, service: str = "") -> QueueReading:
        if gauge is None:
            return QueueReading(name, use, service)
        try:
            depth = await gauge.depth(name)
        except BrokerError as exc:
            raise StoreUnavailable(f"the broker cannot be asked about {name!r}: {exc}") from exc
        return QueueReading(name, use, service) if depth is None else QueueReading(name, use, service, depth.ready, depth.consumers)
