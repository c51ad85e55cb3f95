"""Publishing to RabbitMQ with confirms: what is published in one turn of the event loop is written in one piece."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice

from aiormq.abc import AbstractChannel

from dualrun.broker.amqp_frame import Content, parse_return, publish_frames, publish_method
from dualrun.broker.rabbitmq_link import Link
from dualrun.broker.rabbitmq_tap import ChannelSink
from dualrun.errors import BrokerError, BrokerUnavailable, PublishRefused, Unroutable

__all__ = ["BUFFER_MAX", "Publisher"]

log = logging.getLogger(__name__)

_WINDOW = 4096
"""Messages on their way at a time: bounds what a lost link leaves in doubt, and what the socket has to buffer."""
BUFFER_MAX = 10_000
"""Messages that wait for a link or their turn: beyond it, whoever publishes waits too."""


class _Sending:
    """A message until the broker's word on it."""

    __slots__ = ("content", "deadline_s", "exchange", "routing_key", "verdict")

    def __init__(self, exchange: str, routing_key: str, content: Content, verdict: asyncio.Future[BrokerError | None]) -> None:
        self.exchange = exchange
        self.routing_key = routing_key
        self.content = content
        self.verdict = verdict
        self.deadline_s = 0.0

    def settle(self, error: BrokerError | None) -> None:
        if not self.verdict.done():
            self.verdict.set_result(error)


class Publisher(ChannelSink):
    """Messages wait here for a channel, then for their confirm; neither wait is endless."""

    def __init__(self, *, connect_wait_s: float, confirm_wait_s: float, buffer_max: int = BUFFER_MAX) -> None:
        self._connect_wait_s = connect_wait_s
        self._confirm_wait_s = confirm_wait_s
        self._buffer_max = buffer_max
        self._has_room = asyncio.Event()
        self._waiting: deque[_Sending] = deque()
        self._unconfirmed: dict[int, _Sending] = {}
        self._link: Link | None = None
        self._channel = 0
        self._next_tag = 1
        self._oldest_tag = 1
        self._flush_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def waiting(self) -> int:
        """Messages that wait to be sent."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether whoever publishes now has to wait for `room`."""
        return len(self._waiting) >= self._buffer_max

    async def room(self) -> None:
        """Wait until one more message may wait here. Raises `BrokerUnavailable` where none of those before it goes out in time."""
        try:
            async with asyncio.timeout(self._connect_wait_s + self._confirm_wait_s):
                while self.is_full:
                    self._has_room.clear()
                    await self._has_room.wait()
        except TimeoutError as exc:
            raise BrokerUnavailable(f"{self._buffer_max} messages wait to be sent already") from exc

    def send(self, exchange: str, routing_key: str, content: Content) -> asyncio.Future[BrokerError | None]:
        """The verdict to come: None is the broker's confirm. It is never an exception."""
        loop = asyncio.get_running_loop()
        sending = _Sending(exchange, routing_key, content, loop.create_future())
        sending.deadline_s = loop.time() + self._connect_wait_s
        self._waiting.append(sending)
        self._idle.clear()
        if self._timer is None:
            self._timer = loop.call_later(min(self._connect_wait_s, self._confirm_wait_s), self._expire)
        self._flush_soon()
        return sending.verdict

    async def prepare(self, link: Link, channel: AbstractChannel) -> None:
        """What a new channel needs before it is attached. Raises `BrokerUnavailable`."""

    def attach(self, link: Link, channel: AbstractChannel) -> None:
        """A channel is there: send what waits."""
        self._link = link
        self._channel = channel.number
        self._next_tag = self._oldest_tag = 1
        self._flush_soon()

    def detach(self, reason: str) -> None:
        """The channel is gone, and with it the confirms of what was on its way."""
        self._link = None
        lost, self._unconfirmed = self._unconfirmed, {}
        for sending in lost.values():
            sending.settle(BrokerUnavailable(reason, maybe_published=True))
        if self._waiting:
            deadline_s = asyncio.get_running_loop().time() + self._connect_wait_s
            for sending in self._waiting:
                sending.deadline_s = deadline_s
        if lost:
            log.warning("publish_confirms_lost", extra={"messages": len(lost), "reason": reason})
        self._note_idle()

    async def drain(self, wait_s: float) -> None:
        """Wait until the broker had its word on everything; what has none after `wait_s` fails."""
        try:
            async with asyncio.timeout(wait_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("publish_drain_timeout", extra={"messages": len(self._waiting) + len(self._unconfirmed)})
        self.detach("the broker was closed")
        while self._waiting:
            self._waiting.popleft().settle(BrokerUnavailable("the broker was closed"))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._has_room.set()
        self._note_idle()

    def _flush_soon(self) -> None:
        if not self._flush_is_due and self._link is not None:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        link = self._link
        if link is None or not link.is_up:
            return
        deadline_s = asyncio.get_running_loop().time() + self._confirm_wait_s
        frames: list[bytes] = []
        waiting, unconfirmed, channel = self._waiting, self._unconfirmed, self._channel
        while waiting and len(unconfirmed) < _WINDOW:
            sending = waiting.popleft()
            if sending.verdict.done():
                continue
            sending.deadline_s = deadline_s
            unconfirmed[self._next_tag] = sending
            self._next_tag += 1
            method = publish_method(sending.exchange, sending.routing_key)
            frames.append(publish_frames(channel, method, sending.content, link.frame_max))
        if frames:
            link.write(b"".join(frames))
            self._has_room.set()

    def on_confirm(self, tag: int, *, multiple: bool, accepted: bool) -> None:
        pop = self._unconfirmed.pop
        first = self._oldest_tag if multiple else tag
        for settled in range(first, tag + 1):
            sending = pop(settled, None)
            if sending is not None:
                sending.settle(
                    None if accepted else PublishRefused(f"refused by a queue of {_address(sending)}: full, or without a leader")
                )
        if multiple:
            self._oldest_tag = tag + 1
        if self._waiting:
            self._flush_soon()
        self._note_idle()

    def on_return(self, method: bytes, header: bytes, body: bytes) -> None:
        """Settle the oldest message that looks like the returned one.

        A return carries no tag, but returns keep the order of publishing, and messages alike in every octet are interchangeable.
        """
        exchange, routing_key = parse_return(method)
        for tag, sending in self._unconfirmed.items():
            if sending.routing_key == routing_key and sending.exchange == exchange and self.came_back(sending.content, header, body):
                del self._unconfirmed[tag]
                sending.settle(Unroutable(exchange, routing_key))
                return
        log.error("return_unmatched", extra={"exchange": exchange, "routing_key": routing_key})

    def came_back(self, content: Content, header: bytes, body: bytes) -> bool:
        """Whether a returned message is the one that was sent."""
        return content == (header, body)

    def _expire(self) -> None:
        """Fail what waited too long. Both collections are in order of their deadlines."""
        now_s = asyncio.get_running_loop().time()
        if self._link is None:
            while self._waiting and self._waiting[0].deadline_s <= now_s:
                self._waiting.popleft().settle(BrokerUnavailable(f"not connected within {self._connect_wait_s:g} s"))
        late = [tag for tag, sending in self._unconfirmed.items() if sending.deadline_s <= now_s]
        for tag in late:
            self._unconfirmed.pop(tag).settle(BrokerUnavailable(f"no confirm within {self._confirm_wait_s:g} s", maybe_published=True))
        if late:
            self._give_up()
        self._has_room.set()
        self._note_idle()
        self._rearm()

    def _give_up(self) -> None:
        """The broker confirms nothing any more: what waits behind must not wait another time as long."""
        log.warning("publish_confirms_late", extra={"waiting": len(self._waiting)})
        while self._waiting:
            self._waiting.popleft().settle(BrokerUnavailable(f"no confirms for {self._confirm_wait_s:g} s"))
        if self._link is not None and self._link.silent_s() > self._confirm_wait_s:
            # Not even a heartbeat came: a link cut without a word.
            self._link.abort()

    def _rearm(self) -> None:
        deadlines = [sending.deadline_s for sending in islice(self._unconfirmed.values(), 1)]
        if self._link is None and self._waiting:
            deadlines.append(self._waiting[0].deadline_s)
        if not deadlines and self._waiting:
            deadlines.append(asyncio.get_running_loop().time() + self._connect_wait_s)
        self._timer = asyncio.get_running_loop().call_at(min(deadlines), self._expire) if deadlines else None

    def _note_idle(self) -> None:
        if not self._waiting and not self._unconfirmed:
            self._idle.set()


def _address(sending: _Sending) -> str:
    return f"{sending.routing_key!r} on exchange {sending.exchange or '(default)'!r}"
