"""Headers: a queue gets the events whose headers have the values it names, all of them or any.

    publisher ─▶ headers "reports" ─ format = pdf and region = eu ─▶ queue "eu-print"
                                   └ region = eu or urgent = yes  ─▶ queue "watch"

Run it: `python -m examples.patterns headers_routing`.
"""

from __future__ import annotations

from dualrun.broker import Broker
from event_handlers import EventBus, Exchange, ExchangeKind, HeadersMatch
from examples.patterns.witness import Witness

REPORTS = Exchange("reports", ExchangeKind.HEADERS)


async def show(broker: Broker) -> dict[str, list[str]]:
    """Three reports, told apart by headers alone."""
    witness = Witness()
    bus = EventBus(broker, "reporting")
    await bus.start()
    await bus.subscribe([HeadersMatch({"format": "pdf", "region": "eu"})], witness.handler("eu-print"), queue="eu-print", exchange=REPORTS)
    urgent = HeadersMatch({"region": "eu", "urgent": "yes"}, any_of=True)
    await bus.subscribe([urgent], witness.handler("watch"), queue="watch", exchange=REPORTS)
    for subject, headers in (
        ("sales", {"format": "pdf", "region": "eu"}),
        ("stock", {"format": "csv", "region": "eu"}),
        ("fraud", {"format": "pdf", "region": "us", "urgent": "yes"}),
    ):
        await bus.publish("report.made", {}, subject=subject, headers=headers, exchange=REPORTS)
    heard = await witness.until(4)
    await bus.stop()
    return heard
