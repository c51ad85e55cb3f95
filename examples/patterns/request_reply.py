"""Request-reply: a request waits in the service's queue like any event; the answer comes back directly, through no queue.

    caller ─ request ─▶ dualrun.events ─▶ queue "pricing" ─▶ quote
           ◀─ reply ─────────────────────────────────────────┘

Run it: `python -m examples.patterns request_reply`.
"""

from __future__ import annotations

from decimal import Decimal

from dualrun.broker import Broker
from dualrun.errors import NoReply
from event_handlers import Event, EventBus, RequestFailed


class UnknownProduct(Exception):
    """Nothing of that name is sold."""


async def quote(event: Event) -> dict[str, object]:
    """The price of a product."""
    if event.payload["product"] != "chair":
        raise UnknownProduct(str(event.payload["product"]))
    return {"price": Decimal("49.90")}


async def show(broker: Broker) -> dict[str, list[str]]:
    """An answer, an error that comes back by its name, and a question nobody answers in time."""
    pricing = EventBus(broker, "pricing")
    await pricing.start()
    await pricing.subscribe(["price.requested"], quote, queue="pricing")
    shop = EventBus(broker, "shop")
    answers = [str(await shop.request("price.requested", {"product": "chair"}, deadline_s=5.0))]
    try:
        await shop.request("price.requested", {"product": "unicorn"}, deadline_s=5.0)
    except RequestFailed as exc:
        answers.append(str(exc))
    await pricing.stop()
    try:
        await shop.request("price.requested", {"product": "chair"}, deadline_s=0.2)
    except NoReply as exc:
        answers.append(str(exc))
    return {"shop": answers}
