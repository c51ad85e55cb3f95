"""One durable quorum queue a service: what is published while the service is away waits for it.

    publisher ─▶ dualrun.events ─▶ dualrun.events.invoicing (durable) ─▶ … invoicing is down … ─▶ invoicing is back

Run it: `python -m examples.patterns service_queue`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus
from examples.patterns.witness import Witness


async def show(broker: Broker) -> dict[str, list[str]]:
    """Three orders: one before the service goes away, two while it is."""
    witness = Witness()
    publisher = EventBus(broker, "orders").publisher
    before = EventBus(broker, "invoicing")
    await before.start()
    await before.subscribe(["order.paid"], witness.handler("before"), queue="invoicing")
    await publisher.publish("order.paid", {}, subject="1")
    await witness.until(1)
    await before.stop()
    for number in (2, 3):
        # Confirmed by the broker although nobody consumes: the queue has it.
        await publisher.publish("order.paid", {}, subject=str(number))
    after = EventBus(broker, "invoicing")
    await after.start()
    await after.subscribe(["order.paid"], witness.handler("after"), queue="invoicing")
    heard = await witness.until(3)
    await after.stop()
    return heard
