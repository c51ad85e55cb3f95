"""Requests to RabbitMQ and their replies, by direct reply-to: replies come on the channel the request left by, through no queue.

Source: https://www.rabbitmq.com/docs/direct-reply-to
"""

from __future__ import annotations

import logging
from dataclasses import replace

import aiormq.abc
from aio_pika.exceptions import AMQPChannelError

from dualrun.broker.amqp_frame import Content, encode_content, parse_message
from dualrun.broker.port import Message
from dualrun.broker.rabbitmq_link import Link
from dualrun.broker.rabbitmq_publisher import Publisher
from dualrun.broker.replies import Replies
from dualrun.errors import BrokerUnavailable

__all__ = ["Requester"]

log = logging.getLogger(__name__)

_REPLY_TO = "amq.rabbitmq.reply-to"
"""RabbitMQ replaces it by an address of the channel that publishes."""


class Requester(Publisher):
    """A publisher on a channel of its own, that waits for replies."""

    def __init__(self, *, connect_wait_s: float, confirm_wait_s: float) -> None:
        super().__init__(connect_wait_s=connect_wait_s, confirm_wait_s=confirm_wait_s)
        self._replies = Replies()

    async def prepare(self, link: Link, channel: aiormq.abc.AbstractChannel) -> None:
        """Listen for replies, before anything leaves by the channel: RabbitMQ closes one that asks for replies nobody hears."""
        try:
            # Its own callback is never called: the tap takes the deliveries.
            await link.answer(channel.basic_consume(_REPLY_TO, _unexpected, no_ack=True))
        except AMQPChannelError as exc:
            raise BrokerUnavailable(str(exc)) from exc

    async def request(self, exchange: str, routing_key: str, message: Message, timeout_s: float) -> Message:
        """As `Broker.request`."""

        async def send(correlation_id: str) -> None:
            content = encode_content(replace(message, reply_to=_REPLY_TO, correlation_id=correlation_id))
            error = await self.send(exchange, routing_key, content)
            if error is not None:
                raise error

        return await self._replies.reply(routing_key, timeout_s, send)

    def detach(self, reason: str) -> None:
        super().detach(reason)
        self._replies.lose(reason)

    def came_back(self, content: Content, header: bytes, body: bytes) -> bool:
        # RabbitMQ has put the address in place of `reply_to`, so the headers differ.
        return parse_message(*content).correlation_id == parse_message(header, body).correlation_id

    def on_deliver(self, method: bytes, header: bytes, body: bytes) -> None:
        try:
            self._replies.arrive(parse_message(header, body))
        except (ValueError, IndexError) as exc:
            log.error("reply_unreadable", extra={"reason": str(exc)})


async def _unexpected(message: object) -> None:
    log.error("reply_untapped", extra={"kind": type(message).__name__})
