"""Messages that a flag change recalls: they go back through a gateway instead of being run here."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from dualrun.broker import Broker, Delivery, Message
from dualrun.broker.headers import fresh_headers, may_have_started
from dualrun.broker.redirect_topology import REDIRECT_TOPOLOGY
from dualrun.contracts import NotAnEvent, Role
from dualrun.contracts.topology import HEADER_FLAG_VERSION, HEADER_RECALLED_BY, HEADER_STARTED, REDIRECT_QUEUE
from dualrun.errors import BrokerError, Unroutable
from dualrun.in_force import FlagsInForce
from event_handlers.arrival import Arrival, arrival_of

__all__ = ["Recalling"]

log = logging.getLogger(__name__)

_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)


class Recalling:
    """Says what is recalled, and gives it back."""

    def __init__(self, broker: Broker, in_force: FlagsInForce) -> None:
        self._broker = broker
        self._in_force = in_force
        self._is_declared = True  # by the worker, before it consumes
        self.given_back: Counter[int] = Counter()
        """Messages given back, by the version that recalls them."""

    def recalled_by(self, arrival: Arrival) -> int:
        """The flag version that recalls it; 0 where none does, or where it has started: a retry in progress stays on its side."""
        version = self._in_force.recalled_before(arrival.event.type)
        return version if arrival.flag_version < version and arrival.attempt == 1 and arrival.submission_id is not None else 0

    def is_recalled(self, delivery: Delivery) -> bool:
        """Whether a delivery of authority work that nobody had before is recalled: it needs no room to run in."""
        headers = delivery.message.headers
        version = self._in_force.recalled_before(str(headers.get("cloudEvents:type", "")))
        # Asked of everything that waits for room: what no flag recalls is found out without reading the message.
        if not version or may_have_started(delivery) or headers.get(HEADER_FLAG_VERSION) == str(version):
            return False
        return self._read(delivery)[1] > 0

    def scheduled_recall(self, delivery: Delivery) -> int:
        """As `recalled_by`, of a message that waits for its eta: it has not started, however often it was in hand."""
        arrival, version = self._read(delivery)
        is_early = arrival is not None and arrival.eta is not None and arrival.eta > datetime.now(UTC)
        return version if is_early else 0

    async def give_back(self, message: Message, version: int) -> None:
        """Return when a gateway is sure to get it; waits for a broker that is away."""
        headers = {**fresh_headers(message.headers), HEADER_RECALLED_BY: str(version)}
        # What is given back was not begun: another delivery of it was found held while it was in somebody's hand.
        headers.pop(HEADER_STARTED, None)
        returned = replace(message, headers=headers)
        failures = 0
        while True:
            try:
                if not self._is_declared:
                    await self._broker.declare(REDIRECT_TOPOLOGY)
                    self._is_declared = True
                await self._broker.publish("", REDIRECT_QUEUE, returned)
            except BrokerError as exc:
                if isinstance(exc, Unroutable):
                    # Somebody deleted the queue since it was declared.
                    self._is_declared = False
                log.warning("recall_not_confirmed", extra={"error": str(exc)})
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            else:
                self.given_back[version] += 1
                return

    def _read(self, delivery: Delivery) -> tuple[Arrival | None, int]:
        try:
            arrival = arrival_of(delivery.message, Role.AUTHORITY)
        except NotAnEvent:
            return None, 0
        return arrival, self.recalled_by(arrival)
