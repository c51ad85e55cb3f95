"""A queue's properties as RabbitMQ's x-arguments, for every client library: two declarations that differ exclude each other."""

from __future__ import annotations

from dualrun.broker.port import HeaderValue, Overflow, Queue, Stream

__all__ = ["queue_arguments", "stream_arguments"]


def queue_arguments(queue: Queue) -> dict[str, HeaderValue]:
    """The x-arguments of a queue; what is not asked for is left out, so that policies can set it."""
    is_quorum = queue.max_priority is None
    wanted: dict[str, HeaderValue] = {
        "x-queue-type": "quorum" if is_quorum else "classic",
        "x-max-priority": queue.max_priority,
        "x-max-length": queue.max_length,
        "x-message-ttl": queue.message_ttl_ms,
        "x-expires": queue.expires_ms,
        "x-delivery-limit": queue.delivery_limit if is_quorum else None,
        "x-single-active-consumer": queue.single_active_consumer or None,
        "x-dead-letter-exchange": queue.dead_letter_exchange,
        "x-dead-letter-routing-key": queue.dead_letter_routing_key,
    }
    arguments: dict[str, HeaderValue] = {name: value for name, value in wanted.items() if value is not None}
    rejects = queue.overflow is Overflow.REJECT_PUBLISH
    is_safe = is_quorum and queue.dead_letter_exchange is not None and rejects
    if is_safe:
        # RabbitMQ dead-letters at least once only from queues that reject; the default loses messages when a node fails.
        arguments["x-dead-letter-strategy"] = "at-least-once"
    if queue.max_length is not None or is_safe:
        arguments["x-overflow"] = queue.overflow.value
    return arguments


def stream_arguments(stream: Stream) -> dict[str, HeaderValue]:
    """The x-arguments of a stream."""
    return {"x-queue-type": "stream", "x-max-age": f"{stream.max_age_s}s", "x-max-length-bytes": stream.max_bytes}
