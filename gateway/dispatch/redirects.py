"""Messages that were given back, and the queue they come through. Gateways compete for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
from kombu.exceptions import KombuError
from kombu.serialization import loads

from dualrun.background import cancelled
from dualrun.broker import Broker, Consumer, Delivery, HeaderValue, Message
from dualrun.broker.headers import fresh_headers
from dualrun.broker.redirect_topology import REDIRECT_LATER, REDIRECT_TOPOLOGY
from dualrun.contracts import JsonObject, JsonValue, NotAnEvent, Options, Parameter, Side, Submission, event_from_message
from dualrun.contracts.topology import (
    DEAD_LETTERS,
    HEADER_DEAD_REASON,
    HEADER_ETA,
    HEADER_EXPIRES,
    HEADER_FLAG_VERSION,
    HEADER_RECALLED_BY,
    HEADER_REDIRECTS,
    HEADER_ROUTING,
    HEADER_SIDE,
    HEADER_SUBMISSION_ID,
    HEADER_SUBMITTED_AT,
    HEADER_TRACEPARENT,
    REDIRECT_QUEUE,
)
from dualrun.errors import BrokerError, BrokerUnavailable
from gateway.core.arguments import split_arguments
from gateway.core.errors import DispatchFailed, GatewayError
from gateway.core.redirect import GivenBack, NotARedirect, Routing
from gateway.dispatch.events import HEADER_POSITIONAL

__all__ = ["ParametersOf", "RedirectConsumer", "given_back"]

log = logging.getLogger(__name__)

ParametersOf = Callable[[str], Sequence[Parameter] | None]
"""The parameters by which a task's arguments became an event's payload."""

_IN_HAND = 256
_AT_ONCE = 16
"""Redirects a gateway works on at a time: its callers, and the news of its flags, wait behind no more."""
_PAUSE_S = 1.0
_TELL_EVERY_S = 10.0
_routing = msgspec.json.Decoder(Routing)
_celery_body = msgspec.json.Decoder(tuple[tuple[JsonValue, ...], JsonObject, JsonValue])


def given_back(message: Message, parameters_of: ParametersOf) -> GivenBack:
    """The submission in a message of either side. Raises `NotARedirect`."""
    headers = message.headers
    try:
        side = Side(_text(headers, HEADER_SIDE))
        submission_id = _text(headers, HEADER_SUBMISSION_ID)
        routing = _routing.decode(_text(headers, HEADER_ROUTING, "{}"))
        task, args, kwargs, eta, expires = _from_event(message, parameters_of) if side is Side.EVENTS else _from_celery(message)
        return GivenBack(
            submission=Submission(
                id=submission_id,
                task=task,
                args=args,
                kwargs=kwargs,
                options=Options(eta=_moment(eta), expires=_moment(expires), priority=message.priority, queue=routing.queue),
                cohort_key=routing.cohort_key or submission_id,
                attributes=routing.attributes,
                submitted_at=_moment(_text(headers, HEADER_SUBMITTED_AT)) or datetime.now(UTC),
                traceparent=_text(headers, HEADER_TRACEPARENT, "") or None,
            ),
            side=side,
            decided_under=int(_text(headers, HEADER_FLAG_VERSION)),
            recalled_by=int(_text(headers, HEADER_RECALLED_BY)),
            redirects=int(_text(headers, HEADER_REDIRECTS, "0")),
        )
    except (KeyError, ValueError, TypeError, msgspec.MsgspecError, NotAnEvent, KombuError) as exc:
        raise NotARedirect(f"{type(exc).__name__}: {exc}") from exc


_Work = tuple[str, tuple[JsonValue, ...], JsonObject, str | None, str | None]


def _from_event(message: Message, parameters_of: ParametersOf) -> _Work:
    event = event_from_message(message.headers, message.body)
    positional = int(event.headers.get(HEADER_POSITIONAL, "0"))
    args, kwargs = split_arguments(parameters_of(event.type), event.payload, positional)
    return event.type, args, kwargs, event.headers.get(HEADER_ETA), event.headers.get(HEADER_EXPIRES)


def _from_celery(message: Message) -> _Work:
    headers = message.headers
    if message.content_type == "application/json":
        # Not by kombu: its typed objects stay as they were submitted.
        args, kwargs, _ = _celery_body.decode(message.body)
    else:
        args, kwargs, _ = loads(message.body, message.content_type, message.content_encoding, accept={message.content_type})
    return _text(headers, "task"), tuple(args), kwargs, _text(headers, "eta", "") or None, _text(headers, "expires", "") or None


def _text(headers: Mapping[str, HeaderValue], name: str, default: str | None = None) -> str:
    value = headers.get(name)
    if value is None:
        if default is None:
            raise KeyError(name)
        return default
    return str(value)


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class RedirectConsumer:
    """Hands what was given back to `redirect`. A message leaves the queue when it is where it belongs, and not before."""

    def __init__(self, broker: Broker, redirect: Callable[[GivenBack], Awaitable[None]], parameters_of: ParametersOf) -> None:
        self._broker = broker
        self._redirect = redirect
        self._parameters_of = parameters_of
        self._consumer: Consumer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waits = 0
        """Messages sent to wait since that was last told."""
        self._told_at = float("-inf")

    async def start(self) -> None:
        """Begin to consume; where the broker is not there yet, as soon as it is."""
        self._starting = asyncio.create_task(self._start(), name="redirects")

    async def stop(self, drain_s: float) -> None:
        """Take nothing further; what is in hand is finished within the time, or goes back."""
        await cancelled(self._starting)
        if self._consumer is not None:
            await self._consumer.cancel()
        if self._working:
            await asyncio.wait(self._working, timeout=drain_s)
        for task in list(self._working):
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _start(self) -> None:
        while True:
            try:
                await self._broker.declare(REDIRECT_TOPOLOGY)
                self._consumer = await self._broker.consume(REDIRECT_QUEUE, self._on_delivery, prefetch=_IN_HAND)
            except BrokerUnavailable:
                await asyncio.sleep(_PAUSE_S)
            else:
                return

    def _on_delivery(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._settle(delivery))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _settle(self, delivery: Delivery) -> None:
        try:
            returned = given_back(delivery.message, self._parameters_of)
        except NotARedirect as exc:
            return await self._put_aside(delivery, str(exc))
        try:
            async with self._turns:
                await self._redirect(returned)
        except asyncio.CancelledError:
            delivery.requeue()
            raise
        except DispatchFailed as exc:
            return await (self._put_aside(delivery, str(exc)) if exc.is_final else self._wait(delivery, returned, exc))
        except GatewayError as exc:
            return await self._wait(delivery, returned, exc)
        except Exception:  # the consumer loop: a fault of ours must not end the consumption
            log.exception("redirect_failed", extra={"submission_id": returned.submission.id})
            return await self._again_later(delivery)
        return delivery.ack()

    async def _wait(self, delivery: Delivery, returned: GivenBack, reason: GatewayError) -> None:
        self._waits += 1
        if time.monotonic() - self._told_at > _TELL_EVERY_S:
            # Thousands may wait for one worker: each would say so every second.
            told = {"submission_id": returned.submission.id, "task": returned.submission.task, "waits": self._waits, "reason": str(reason)}
            log.warning("redirect_waits", extra=told)
            self._told_at, self._waits = time.monotonic(), 0
        await self._again_later(delivery)

    async def _again_later(self, delivery: Delivery) -> None:
        try:
            await self._broker.publish("", REDIRECT_LATER, replace(delivery.message, headers=fresh_headers(delivery.message.headers)))
        except (asyncio.CancelledError, BrokerError):
            delivery.requeue()
        else:
            delivery.ack()

    async def _put_aside(self, delivery: Delivery, reason: str) -> None:
        log.error("redirect_dead_lettered", extra={"message_id": delivery.message.message_id, "reason": reason})
        headers = {**fresh_headers(delivery.message.headers), HEADER_DEAD_REASON: reason[:500]}
        try:
            await self._broker.publish(DEAD_LETTERS, REDIRECT_QUEUE, replace(delivery.message, headers=headers))
        except BrokerError:
            delivery.dead_letter()
        else:
            delivery.ack()
