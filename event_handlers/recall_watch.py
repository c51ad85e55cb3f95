"""What an event worker does the moment it hears of a recall, and what it says of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable

import msgspec

from dualrun.background import cancelled
from dualrun.broadcast import Broadcast
from dualrun.broker import Broker, Delivery, Topology
from dualrun.contracts import Side
from dualrun.contracts.recall import Overrides, RedirectCounts, WorkerCounts
from dualrun.errors import BrokerError
from dualrun.in_force import FlagsInForce
from event_handlers.arrival import Arrival
from event_handlers.attempt import worker_name
from event_handlers.ladder import STEPS_S, waiting_queue
from event_handlers.recalling import Recalling

__all__ = ["RecallWatch"]

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.05
_REPORT_S = 60.0
_IN_HAND_MAX = 10_000
_decoder = msgspec.json.Decoder(Overrides | WorkerCounts | RedirectCounts)
_encode = msgspec.json.Encoder().encode


class RecallWatch:
    """Hears of recalls, by the store of the flags or by broadcast; takes back what waits for its eta; tells how far it is."""

    def __init__(
        self,
        broker: Broker,
        queue: str,
        tasks: Collection[str],
        *,
        in_force: FlagsInForce,
        recalling: Recalling,
        broadcast: Broadcast | None,
        running: Callable[[], Iterable[Arrival]],
        look_again: Callable[[], None],
        waiting: Callable[[], Awaitable[int]],
    ) -> None:
        self._broker = broker
        self._queue = queue
        self._tasks = tasks
        self._in_force = in_force
        self._recalling = recalling
        self._broadcast = broadcast
        self._running = running
        self._look_again = look_again
        self._waiting = waiting
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to hear."""
        loop = asyncio.get_running_loop()
        self._in_force.listen(lambda version: _in_loop(loop, self._heard, version))
        if self._broadcast is not None:
            self._broadcast.listen(self._notice)
            await self._broadcast.start()

    async def stop(self) -> None:
        """Hear no more."""
        if self._broadcast is not None:
            await self._broadcast.stop()
        await cancelled(*self._watching)

    def _notice(self, body: bytes) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            notice = _decoder.decode(body)
            if isinstance(notice, Overrides):
                self._in_force.hear(notice.overrides)

    def _heard(self, version: int) -> None:
        recalled = {task for task in self._tasks if self._in_force.recalled_before(task) == version}
        if not recalled:
            return
        started = sum(1 for arrival in self._running() if arrival.event.type in recalled and arrival.flag_version < version)
        self._look_again()
        task = asyncio.create_task(self._follow(version, started), name=f"recall {version}")
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _follow(self, version: int, started: int) -> None:
        try:
            async with asyncio.timeout(_REPORT_S):
                await self._take_back_scheduled()
                await self._report(version, started)
        except TimeoutError:
            log.warning("recall_not_finished", extra={"version": version})
        except Exception:  # an observer: what is told of a recall must not keep anything from going on
            log.exception("recall_not_followed", extra={"version": version})

    async def _report(self, version: int, started: int) -> None:
        """Tell the numbers whenever they change, until nothing has waited at two looks."""
        told: WorkerCounts | None = None
        idle = 0
        while idle < 2:
            counts = WorkerCounts(
                worker=worker_name(),
                side=Side.EVENTS,
                version=version,
                started=started,
                given_back=self._recalling.given_back[version],
                waiting=await self._left(),
            )
            idle = idle + 1 if counts.waiting == 0 else 0
            # The first zero may be a moment between two deliveries.
            if counts.waiting == 0 and idle < 2:
                counts = msgspec.structs.replace(counts, waiting=1)
            if counts != told and self._broadcast is not None:
                told = counts if await self._broadcast.tell(_encode(counts)) else None
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _left(self) -> int:
        try:
            return await self._waiting()
        except BrokerError:
            return 1

    async def _take_back_scheduled(self) -> None:
        waiting = tuple(waiting_queue(self._queue, step_s) for step_s in STEPS_S)
        try:
            # Another worker may have used a step that this one has not.
            await self._broker.declare(Topology(queues=waiting))
            for queue in waiting:
                depth = await self._broker.depth(queue.name)
                if depth is not None and depth.ready:
                    await self._sift(queue.name, min(depth.ready, _IN_HAND_MAX))
        except BrokerError as exc:
            log.warning("scheduled_not_taken_back", extra={"queue": self._queue, "error": str(exc)})

    async def _sift(self, queue: str, count: int) -> None:
        """Take in hand what waits in a queue of fixed delay: recalled work goes back, everything else is put where it was."""
        in_hand: list[Delivery] = []
        news = asyncio.Event()

        def keep(delivery: Delivery) -> None:
            in_hand.append(delivery)
            news.set()

        consumer = await self._broker.consume(queue, keep, prefetch=count)
        kept: list[Delivery] = []
        try:
            with contextlib.suppress(TimeoutError):
                while len(kept) < count:
                    async with asyncio.timeout(_LOOK_AGAIN_S):
                        await news.wait()
                    news.clear()
                    while in_hand:
                        delivery = in_hand.pop()
                        version = self._recalling.scheduled_recall(delivery)
                        if version:
                            await self._recalling.give_back(delivery.message, version)
                            delivery.ack()
                        else:
                            kept.append(delivery)
        finally:
            await consumer.cancel()
            for delivery in (*kept, *in_hand):
                delivery.requeue()


def _in_loop(loop: asyncio.AbstractEventLoop, heard: Callable[[int], None], version: int) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended, and the worker with it
        loop.call_soon_threadsafe(heard, version)
