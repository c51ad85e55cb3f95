"""Events of the past, by type and time, from a stream beside the queues."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime

from dualrun.broker import Binding, Broker, Exchange, Stream, Topology
from dualrun.broker.memory_routing import topic_matches
from dualrun.contracts import Event, NotAnEvent, event_from_message
from event_handlers.publisher import EVENTS

__all__ = ["EventHistory"]

HISTORY_STREAM = "dualrun.history"


class EventHistory:
    """Keeps events whose type matches one of `patterns`, for `keep_s` and up to `keep_bytes` in all.

    An event that is kept has somewhere to go: nobody handling it is then no longer `Unroutable`. So name the types that matter, not `#`.
    """

    def __init__(
        self,
        broker: Broker,
        patterns: Iterable[str],
        *,
        exchange: Exchange = EVENTS,
        stream: str = HISTORY_STREAM,
        keep_s: int = 7 * 24 * 3600,
        keep_bytes: int = 1 << 30,
    ) -> None:
        self._broker = broker
        self._stream = stream
        self._topology = Topology(
            exchanges=(exchange,),
            streams=(Stream(name=stream, max_age_s=keep_s, max_bytes=keep_bytes),),
            bindings=tuple(Binding(exchange.name, stream, pattern) for pattern in patterns),
        )

    async def start(self) -> None:
        """Keep from now on. Once declared, it goes on without this process. Raises `BrokerUnavailable`, `ConfigurationError`."""
        await self._broker.declare(self._topology)

    async def get_event_history(
        self, types: Iterable[str] = ("#",), *, since: datetime | None = None, until: datetime | None = None, limit: int = 1000
    ) -> list[Event]:
        """Events whose type matches a pattern and whose time is within `since` <= time < `until`: the latest `limit`, oldest first.

        Raises `BrokerUnavailable`; `ConfigurationError` where nothing was ever kept.
        """
        patterns = tuple(types)
        found: deque[Event] = deque(maxlen=limit)
        async for message in self._broker.read(self._stream, since=since):
            try:
                event = event_from_message(message.headers, message.body)
            except NotAnEvent:
                continue
            is_in_time = (since is None or event.time >= since) and (until is None or event.time < until)
            if is_in_time and any(topic_matches(pattern, event.type) for pattern in patterns):
                found.append(event)
        return list(found)
