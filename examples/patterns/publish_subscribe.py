"""Publish/subscribe: a fanout exchange gives every subscriber's queue a copy, whatever the type of the event.

    publisher ─▶ fanout "announcements" ─▶ queue "web"     ─▶ web
                                        ├▶ queue "mobile"  ─▶ mobile
                                        └▶ queue "archive" ─▶ archive

Run it: `python -m examples.patterns publish_subscribe`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus, Exchange, ExchangeKind
from examples.patterns.witness import Witness

ANNOUNCEMENTS = Exchange("announcements", ExchangeKind.FANOUT)


async def show(broker: Broker) -> dict[str, list[str]]:
    """Two announcements, three subscribers."""
    witness = Witness()
    bus = EventBus(broker, "news")
    await bus.start()
    for name in ("web", "mobile", "archive"):
        await bus.subscribe([""], witness.handler(name), queue=name, exchange=ANNOUNCEMENTS)
    await bus.publish("release.published", {"version": "2.0"}, exchange=ANNOUNCEMENTS)
    await bus.publish("maintenance.planned", {"at": "03:00"}, exchange=ANNOUNCEMENTS)
    heard = await witness.until(6)
    await bus.stop()
    return heard
