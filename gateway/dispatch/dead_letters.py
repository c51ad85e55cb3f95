"""Dead letters on the broker: taken in hand to be looked at, and put back."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from dualrun.broker import Broker, Delivery, HeaderValue, Message
from dualrun.broker.headers import fresh_headers
from dualrun.contracts import JsonValue
from dualrun.contracts.topology import (
    HEADER_ATTEMPT,
    HEADER_DEAD_REASON,
    HEADER_DEAD_TRACEBACK,
    HEADER_RETRY_DELAYS,
    HEADER_SUBMISSION_ID,
    dead_letter_queue,
)
from dualrun.errors import BrokerError, ConfigurationError
from gateway.core.dead_letter import DeadLetter
from gateway.core.errors import StoreUnavailable

__all__ = ["BrokerDeadLetters"]

_AT_ONCE = 1_000
_WAIT_S = 2.0
_LOOK_AGAIN_S = 0.02
_RENEW_AFTER = 10
"""RabbitMQ 4 drops a message delivered 20 times without an ack; one looked at so often is replaced by a copy."""
_TYPE_HEADERS = ("cloudEvents:type", "cloudEvents_type")
_NOT_REPLAYED = frozenset({HEADER_ATTEMPT, HEADER_DEAD_REASON, HEADER_DEAD_TRACEBACK, HEADER_RETRY_DELAYS})


class BrokerDeadLetters:
    """Implements `DeadLetterStore`. While one process looks, another sees what the first has not in hand."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._lock = asyncio.Lock()

    async def read(self, queue: str) -> Sequence[DeadLetter] | None:
        async with self._in_hand(queue) as deliveries:
            return None if deliveries is None else [_letter(queue, delivery.message) for delivery in deliveries]

    async def replay(self, queue: str, ids: Collection[str]) -> Sequence[DeadLetter]:
        async with self._in_hand(queue) as deliveries:
            replayed: list[DeadLetter] = []
            for delivery in _of_ids(deliveries or (), ids):
                await self._broker.publish("", queue, _replayed(delivery.message))
                # Confirmed: from here on it is in two places rather than in none.
                _settle(deliveries, delivery)
                replayed.append(_letter(queue, delivery.message))
            return replayed

    async def discard(self, queue: str, ids: Collection[str]) -> Sequence[DeadLetter]:
        async with self._in_hand(queue) as deliveries:
            discarded = _of_ids(deliveries or (), ids)
            for delivery in discarded:
                _settle(deliveries, delivery)
            return [_letter(queue, delivery.message) for delivery in discarded]

    @asynccontextmanager
    async def _in_hand(self, queue: str) -> AsyncIterator[list[Delivery] | None]:
        """All dead letters of a queue, up to a thousand; what is not settled in the block goes back. None where there is no queue."""
        name = dead_letter_queue(queue)
        try:
            async with self._lock:
                depth = await self._broker.depth(name)
                if depth is None:
                    yield None
                elif depth.ready == 0:
                    yield []
                else:
                    async with self._consumed(name, min(depth.ready, _AT_ONCE)) as deliveries:
                        yield deliveries
        except (BrokerError, ConfigurationError) as exc:
            raise StoreUnavailable(f"dead letters of {queue!r} are out of reach: {exc}") from exc

    @asynccontextmanager
    async def _consumed(self, name: str, count: int) -> AsyncIterator[list[Delivery]]:
        arrived: asyncio.Queue[Delivery] = asyncio.Queue()
        deliveries: list[Delivery] = []
        consumer = await self._broker.consume(name, arrived.put_nowait, prefetch=count)
        try:
            # Another process may have some of them in hand: what comes is what there is.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_WAIT_S):
                    while len(deliveries) < count:
                        deliveries.append(await arrived.get())
            yield deliveries
        finally:
            await consumer.cancel()
            while not arrived.empty():
                deliveries.append(arrived.get_nowait())
            for delivery in deliveries:
                await self._put_back(delivery)
            await self._until_back(name, len(deliveries))

    async def _until_back(self, name: str, count: int) -> None:
        """Who looks next should find them all."""
        with contextlib.suppress(TimeoutError, BrokerError):
            async with asyncio.timeout(_WAIT_S):
                # RabbitMQ confirms no requeue, so it is asked.
                while (depth := await self._broker.depth(name)) is not None and depth.ready < count:  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_AGAIN_S)

    async def _put_back(self, delivery: Delivery) -> None:
        if delivery.delivery_count >= _RENEW_AFTER:
            with contextlib.suppress(BrokerError):
                copy = replace(delivery.message, headers=fresh_headers(delivery.message.headers))
                await self._broker.publish("", delivery.queue, copy)
                delivery.ack()
                return
        delivery.requeue()


def _of_ids(deliveries: Iterable[Delivery], ids: Collection[str]) -> list[Delivery]:
    """The first of each id."""
    found: dict[str, Delivery] = {}
    for delivery in deliveries:
        if (id_ := _id(delivery.message)) in ids:
            found.setdefault(id_, delivery)
    return list(found.values())


def _settle(deliveries: list[Delivery] | None, delivery: Delivery) -> None:
    assert deliveries is not None
    deliveries.remove(delivery)
    delivery.ack()


def _id(message: Message) -> str:
    return message.message_id or hashlib.sha256(message.body).hexdigest()[:32]


def _replayed(message: Message) -> Message:
    """As it was first sent: all its attempts before it."""
    headers = fresh_headers(message.headers)
    return replace(message, headers={name: value for name, value in headers.items() if name not in _NOT_REPLAYED})


def _letter(queue: str, message: Message) -> DeadLetter:
    headers = message.headers
    attempt = str(headers.get(HEADER_ATTEMPT, "1"))
    return DeadLetter(
        id=_id(message),
        queue=queue,
        reason=_text(headers, HEADER_DEAD_REASON) or _brokers_reason(headers),
        attempts=int(attempt) if attempt.isdecimal() else 1,
        task=next((text for name in _TYPE_HEADERS if (text := _text(headers, name))), None),
        submission_id=_text(headers, HEADER_SUBMISSION_ID),
        traceback=_text(headers, HEADER_DEAD_TRACEBACK),
        headers={name: _json(value) for name, value in headers.items()},
        body=message.body.decode(errors="replace"),
    )


def _text(headers: Mapping[str, HeaderValue], name: str) -> str | None:
    value = headers.get(name)
    return value if isinstance(value, str) else None


def _brokers_reason(headers: Mapping[str, HeaderValue]) -> str:
    deaths = headers.get("x-death")
    if isinstance(deaths, Sequence) and deaths and isinstance(latest := deaths[0], Mapping):
        return f"put aside by the broker: {latest.get('reason')}"
    return "unknown"


def _json(value: HeaderValue) -> JsonValue:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return {str(name): _json(inner) for name, inner in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [_json(inner) for inner in value] if isinstance(value, Sequence) else str(value)
