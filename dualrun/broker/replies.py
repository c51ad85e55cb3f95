"""Requests that wait for their replies, for every adapter."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable

from dualrun.broker.port import Message
from dualrun.errors import BrokerUnavailable, NoReply

__all__ = ["Replies"]

log = logging.getLogger(__name__)


class Replies:
    """Replies to come, by correlation id."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Future[Message | BrokerUnavailable]] = {}
        self._ids = itertools.count(1)

    async def reply(self, routing_key: str, timeout_s: float, send: Callable[[str], Awaitable[None]]) -> Message:
        """Send the request, with the correlation id that is given to `send`, and wait for what answers it.

        Raises what `send` raises; `NoReply`; `BrokerUnavailable` after `lose`.
        """
        correlation_id = str(next(self._ids))
        awaited: asyncio.Future[Message | BrokerUnavailable] = asyncio.get_running_loop().create_future()
        self._awaited[correlation_id] = awaited
        try:
            async with asyncio.timeout(timeout_s):
                await send(correlation_id)
                answer = await awaited
        except TimeoutError as exc:
            raise NoReply(routing_key, timeout_s) from exc
        finally:
            del self._awaited[correlation_id]
        if isinstance(answer, BrokerUnavailable):
            raise answer
        return answer

    def arrive(self, reply: Message) -> None:
        """A reply is there. One that nobody awaits any more is lost."""
        awaited = self._awaited.get(reply.correlation_id or "")
        if awaited is None or awaited.done():
            log.info("reply_too_late", extra={"correlation_id": reply.correlation_id})
            return
        awaited.set_result(reply)

    def lose(self, reason: str) -> None:
        """None of those awaited will come."""
        for awaited in self._awaited.values():
            if not awaited.done():
                awaited.set_result(BrokerUnavailable(reason, maybe_published=True))
