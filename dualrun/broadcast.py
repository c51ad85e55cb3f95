"""What every gateway and worker is told over the message broker: flag changes made while their store is away, and work in flight."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable

from dualrun.background import cancelled
from dualrun.broker import Broker, Consumer, Delivery, Message
from dualrun.broker.flags_topology import flags_topology
from dualrun.contracts.topology import FLAGS_EXCHANGE
from dualrun.errors import BrokerError, BrokerUnavailable

__all__ = ["Broadcast", "Heard"]

log = logging.getLogger(__name__)

Heard = Callable[[bytes], None]
"""Called in the event loop with each notice, one's own included; must not block and must not raise."""

_AGAIN_S = 1.0
_PREFETCH = 100


class Broadcast:
    """One process's ear and voice. A notice is a hint: who tells something that matters tells it again until it is known."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._topology = flags_topology(uuid.uuid4().hex)
        self._heard: list[Heard] = []
        self._consumer: Consumer | None = None
        self._starting: asyncio.Task[None] | None = None

    def listen(self, heard: Heard) -> None:
        """Have notices told; before `start`."""
        self._heard.append(heard)

    async def start(self) -> None:
        """Begin to listen; where the broker is not there yet, as soon as it is."""
        self._starting = asyncio.create_task(self._start(), name="broadcast")

    async def stop(self) -> None:
        """Listen no more."""
        await cancelled(self._starting)
        if self._consumer is not None:
            await self._consumer.cancel()

    async def tell(self, notice: bytes) -> bool:
        """Whether the broker has it, for everybody who listens."""
        try:
            await self._broker.publish(FLAGS_EXCHANGE, "", Message(body=notice))
        except BrokerError as exc:
            log.info("notice_not_told", extra={"error": str(exc)})
            return False
        return True

    async def _start(self) -> None:
        while True:
            try:
                await self._broker.declare(self._topology)
                self._consumer = await self._broker.consume(self._topology.queues[0].name, self._on_delivery, prefetch=_PREFETCH)
            except BrokerUnavailable:
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _on_delivery(self, delivery: Delivery) -> None:
        delivery.ack()
        for heard in self._heard:
            heard(delivery.message.body)
