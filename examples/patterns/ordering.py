"""Order within a key: the events of one account are handled one after another, those of different accounts at the same time.

    publisher ─▶ dualrun.events ─▶ queue "ledger" (single active consumer) ─▶ account 1: a, b, c
                                                                           └▶ account 2: a, b, c

Run it: `python -m examples.patterns ordering`.
"""

from __future__ import annotations

import asyncio
import random

from dualrun.broker import Broker
from event_handlers import Event, EventBus, Policy, Retry, current_context
from examples.patterns.witness import Witness


async def show(broker: Broker) -> dict[str, list[str]]:
    """Ten bookings for each of three accounts. They take their time, some fail once, and none overtakes another of its account."""
    witness = Witness()

    async def book(event: Event) -> None:
        context = current_context()
        await asyncio.sleep(random.uniform(0, 0.01))
        if context is not None and context.attempt == 1 and event.payload["number"] == 3:
            raise Retry(delay_s=0.05)
        await witness.note(f"account {event.subject}", str(event.payload["number"]))

    bus = EventBus(broker, "bank")
    await bus.start()
    await bus.subscribe(["booking.made"], book, queue="ledger", ordered_by=lambda event: event.subject, policy=Policy(max_attempts=2))
    for number in range(10):
        for account in ("1", "2", "3"):
            await bus.publish("booking.made", {"number": number}, subject=account)
    booked = await witness.until(30)
    await bus.stop()
    return booked
