"""Consumption of one queue: a bounded number of deliveries at work, and a way to end without losing any."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from dualrun.broker import Broker, Consumer, Delivery
from event_handlers.handing_back import hand_back

__all__ = ["Lane"]

log = logging.getLogger(__name__)


class Lane:
    """Runs `work` for each delivery of a queue, at most `concurrency` at a time. `work` settles the delivery as its last step."""

    def __init__(
        self,
        broker: Broker,
        queue: str,
        work: Callable[[Delivery], Awaitable[None]],
        *,
        concurrency: int,
        prefetch: int | None = None,
        needs_no_room: Callable[[Delivery], bool] | None = None,
    ) -> None:
        self.queue = queue
        self._broker = broker
        self._work = work
        self._concurrency = concurrency
        # Beyond those at work: some whose outcomes are being confirmed, and some to go on with at once.
        self._prefetch = max(64, concurrency * 2) if prefetch is None else prefetch
        # Asked only of what would have to wait.
        self._needs_no_room = needs_no_room
        self._waiting: deque[Delivery] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._consumer: Consumer | None = None
        self._is_closing = False
        self._cut_short: list[Delivery] = []

    @property
    def running(self) -> int:
        """Deliveries at work."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Deliveries in hand whose turn has not come."""
        return len(self._waiting)

    async def start(self) -> None:
        """Begin to consume. Raises `BrokerUnavailable`."""
        self._is_closing = False
        self._consumer = await self._broker.consume(self.queue, self._on_delivery, prefetch=self._prefetch)

    async def close(self) -> None:
        """Take nothing further; what has not begun goes back, as if it had never come."""
        self._is_closing = True
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.cancel()
        await self._hand_back()

    def look_again(self) -> None:
        """Begin what waits for room and has come to need none."""
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            self._on_delivery(delivery)

    async def drain(self, patience_s: float) -> None:
        """Wait so long for what runs; cancel the rest, which goes back."""
        if self._running:
            await asyncio.wait(self._running, timeout=patience_s)
        for task in self._running:
            task.cancel()
        if self._running:
            log.warning("drain_cut_short", extra={"queue": self.queue, "count": len(self._running)})
            await asyncio.wait(self._running, timeout=5.0)
        await self._hand_back()

    def _on_delivery(self, delivery: Delivery) -> None:
        if self._is_closing:
            self._waiting.append(delivery)
        elif len(self._running) < self._concurrency or (self._needs_no_room is not None and self._needs_no_room(delivery)):
            self._begin(delivery)
        else:
            self._waiting.append(delivery)

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._run(delivery))
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._waiting and len(self._running) < self._concurrency and not self._is_closing:
            self._begin(self._waiting.popleft())

    async def _run(self, delivery: Delivery) -> None:
        try:
            await self._work(delivery)
        except asyncio.CancelledError:
            self._give_back(delivery)
        except Exception:
            # The consumer loop: what fails here is the worker's own fault, and may pass with another worker.
            log.exception("delivery_failed", extra={"queue": self.queue})
            delivery.requeue()

    def _give_back(self, delivery: Delivery) -> None:
        """What becomes of a delivery whose work was cut short."""
        if self._is_closing:
            self._cut_short.append(delivery)
        else:
            delivery.requeue()

    async def _hand_back(self) -> None:
        """Let others have what is in hand and not at work."""
        unbegun, self._waiting = self._waiting, deque()
        begun, self._cut_short = self._cut_short, []
        await hand_back(self._broker, begun=begun, unbegun=unbegun)
