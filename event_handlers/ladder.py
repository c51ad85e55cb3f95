"""Waiting outside of the worker: a message is published to a queue of fixed delay, from which it returns to where it came from.

One queue a delay, so that no long wait stands before a short one, and a bounded number of delays, so that there are few queues.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dualrun.broker import Broker, Message, Queue, Topology
from dualrun.broker.headers import fresh_headers
from dualrun.contracts.topology import HEADER_ATTEMPT, HEADER_RETRY_DELAYS, RETRY_STEPS_S, retry_delays_with, retry_queue
from dualrun.errors import BrokerError, Unroutable
from event_handlers.arrival import HEADER_NOT_BEFORE

__all__ = ["STEPS_S", "Ladder", "RetryLadder", "step_down_s", "step_up_s", "waiting_queue"]

log = logging.getLogger(__name__)

STEPS_S = RETRY_STEPS_S
_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)


def step_up_s(delay_s: float) -> float:
    """The shortest step that is no shorter than the delay; the longest where there is none."""
    return next((step for step in STEPS_S if step >= delay_s), STEPS_S[-1])


def step_down_s(wait_s: float) -> float:
    """The longest step that does not go beyond the wait; the shortest where there is none."""
    return next((step for step in reversed(STEPS_S) if step <= wait_s), STEPS_S[0])


def waiting_queue(queue: str, step_s: float) -> Queue:
    """Where messages of `queue` wait for one step."""
    delay_ms = round(step_s * 1e3)
    return Queue(name=retry_queue(queue, delay_ms), message_ttl_ms=delay_ms, dead_letter_exchange="", dead_letter_routing_key=queue)


class Ladder(Protocol):
    """Where messages wait until they are due."""

    async def postpone(self, message: Message, queue: str, delay_s: float, attempt: int, at_most_s: float | None = None) -> None:
        """Have the message come back to `queue` as that attempt, no sooner than in `delay_s`. Returns when that is certain.

        `at_most_s`: jitter drew the delay from none to that.
        """
        ...

    async def park(self, message: Message, queue: str, wait_s: float) -> None:
        """Have the message come back to `queue` unchanged: when it is due, or sooner, to be parked again. Returns when that is certain."""
        ...


class RetryLadder:
    """The retry queues of one broker, declared when first used."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._declared: set[str] = set()

    async def postpone(self, message: Message, queue: str, delay_s: float, attempt: int, at_most_s: float | None = None) -> None:
        """As `Ladder`; the delay is rounded up to a step."""
        headers = fresh_headers(message.headers)
        headers.pop(HEADER_NOT_BEFORE, None)
        headers[HEADER_ATTEMPT] = str(attempt)
        headers[HEADER_RETRY_DELAYS] = retry_delays_with(headers.get(HEADER_RETRY_DELAYS), delay_s, at_most_s)
        if delay_s > STEPS_S[-1]:
            headers[HEADER_NOT_BEFORE] = (datetime.now(UTC) + timedelta(seconds=delay_s)).isoformat()
        await self._publish(replace(message, headers=headers), queue, step_up_s(delay_s))

    async def park(self, message: Message, queue: str, wait_s: float) -> None:
        await self._publish(replace(message, headers=fresh_headers(message.headers)), queue, step_down_s(wait_s))

    async def _publish(self, message: Message, queue: str, step_s: float) -> None:
        name = retry_queue(queue, round(step_s * 1e3))
        failures = 0
        while True:
            try:
                await self._declare(name, queue, step_s)
                await self._broker.publish("", name, message)
            except BrokerError as exc:
                if isinstance(exc, Unroutable):
                    # Somebody deleted the queue since it was declared.
                    self._declared.discard(name)
                log.warning("retry_not_confirmed", extra={"queue": name, "error": str(exc)})
                await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
                failures += 1
            else:
                return

    async def _declare(self, name: str, queue: str, step_s: float) -> None:
        if name in self._declared:
            return
        await self._broker.declare(Topology(queues=(waiting_queue(queue, step_s),)))
        self._declared.add(name)
