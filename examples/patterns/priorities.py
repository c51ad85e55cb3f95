"""Priorities: of what waits, the highest priority comes first.

    publisher ─▶ dualrun.events ─▶ queue "mail" (priorities 0..9) ─▶ send

Run it: `python -m examples.patterns priorities`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus
from examples.patterns.witness import Witness


async def show(broker: Broker) -> dict[str, list[str]]:
    """A newsletter and a password reset that waited together."""
    witness = Witness()
    bus = EventBus(broker, "mail", concurrency=1, prefetch=1)
    await bus.start()
    await bus.subscribe(["mail.wanted"], witness.handler("mail"), queue="mail", priorities=True)
    await bus.stop()
    for subject, priority in (("newsletter", 0), ("invoice", 4), ("password reset", 9), ("digest", None)):
        await bus.publish("mail.wanted", {}, subject=subject, priority=priority)
    await bus.start()
    sent = await witness.until(4)
    await bus.stop()
    return sent
