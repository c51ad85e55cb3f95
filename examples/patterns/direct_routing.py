"""Direct routing: a queue gets the events of the very types it names.

    publisher ─▶ direct "accounts" ─ user.created, user.deleted ─▶ queue "directory"
                                   └ order.created ─────────────▶ queue "billing"

Run it: `python -m examples.patterns direct_routing`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus, Exchange, ExchangeKind
from examples.patterns.witness import Witness

ACCOUNTS = Exchange("accounts", ExchangeKind.DIRECT)


async def show(broker: Broker) -> dict[str, list[str]]:
    """Four types, of which one is nobody's: its publisher says that this is fine."""
    witness = Witness()
    bus = EventBus(broker, "accounts")
    await bus.start()
    await bus.subscribe(["user.created", "user.deleted"], witness.handler("directory"), queue="directory", exchange=ACCOUNTS)
    await bus.subscribe(["order.created"], witness.handler("billing"), queue="billing", exchange=ACCOUNTS)
    for event_type in ("user.created", "order.created", "user.deleted"):
        await bus.publish(event_type, {}, exchange=ACCOUNTS)
    await bus.publish("user.seen", {}, exchange=ACCOUNTS, required=False)
    heard = await witness.until(3)
    await bus.stop()
    return heard
