"""What an orderly stop leaves undone: it comes again to somebody else, and no stop counts against it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from dualrun.broker import Broker, Delivery, Message, Outgoing
from dualrun.broker.headers import fresh_headers, may_have_started, started_headers
from dualrun.errors import BrokerError, BrokerUnavailable

__all__ = ["hand_back"]

log = logging.getLogger(__name__)

_CONFIRM_S = 5.0


async def hand_back(broker: Broker, *, begun: Iterable[Delivery] = (), unbegun: Iterable[Delivery] = ()) -> None:
    """Publish them again to their queue, then ack them; what the broker does not confirm is put back as it is.

    Whatever else gives a message back, quorum queues of RabbitMQ count as a delivery: a reject, a closed channel. Six deployments would
    make a dead letter of an event nobody could finish in between. A copy is the last in its queue, and says whether it may have begun.
    """
    again = [(delivery, _again(delivery, has_begun=True)) for delivery in begun]
    again += [(delivery, _again(delivery, has_begun=may_have_started(delivery))) for delivery in unbegun]
    if not again:
        return
    errors = await _published(broker, [Outgoing("", delivery.queue, message) for delivery, message in again])
    for (delivery, _), error in zip(again, errors, strict=True):
        if error is None:
            delivery.ack()
        else:
            log.warning("put_back_unconfirmed", extra={"queue": delivery.queue, "error": str(error)})
            delivery.requeue()


def _again(delivery: Delivery, *, has_begun: bool) -> Message:
    headers = delivery.message.headers
    return replace(delivery.message, headers=started_headers(headers) if has_begun else fresh_headers(headers))


async def _published(broker: Broker, messages: Sequence[Outgoing]) -> Sequence[BrokerError | None]:
    # Where the link is gone the broker gives them to others as it is: who waited for it to publish copies would double them.
    try:
        async with asyncio.timeout(_CONFIRM_S):
            return await broker.publish_many(messages)
    except TimeoutError:
        return [BrokerUnavailable(f"no confirm in {_CONFIRM_S:g} s")] * len(messages)
