"""Topics: a queue gets the events whose type matches its patterns; `*` is one word, `#` any number.

    publisher ─▶ dualrun.events ─ user.*    ─▶ queue "users"
                                ├ *.created ─▶ queue "growth"
                                └ #         ─▶ queue "audit"

Run it: `python -m examples.patterns topic_routing`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus
from examples.patterns.witness import Witness


async def show(broker: Broker) -> dict[str, list[str]]:
    """Four events, three subscribers whose patterns overlap."""
    witness = Witness()
    bus = EventBus(broker, "platform")
    await bus.start()
    await bus.subscribe(["user.*"], witness.handler("users"), queue="users")
    await bus.subscribe(["*.created"], witness.handler("growth"), queue="growth")
    await bus.subscribe(["#"], witness.handler("audit"), queue="audit")
    for event_type in ("user.created", "user.updated", "order.created", "experiment.run.started"):
        await bus.publish(event_type, {})
    heard = await witness.until(8)
    await bus.stop()
    return heard
