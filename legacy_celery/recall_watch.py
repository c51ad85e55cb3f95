"""What a Celery worker does the moment it hears of a recall, and what it says of it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import ClassVar, Protocol

import msgspec
from celery import bootsteps

from dualrun.broker import Message
from dualrun.broker.port import Exchange, ExchangeKind, Topology
from dualrun.contracts import Side
from dualrun.contracts.recall import WorkerCounts
from dualrun.contracts.topology import FLAGS_EXCHANGE
from dualrun.in_force import FlagsInForce
from legacy_celery.confirmed_publisher import ConfirmedPublisher
from legacy_celery.handing_over import HandingOver, RecallableRequest

__all__ = ["RecallWatch", "TakesBackWhatIsScheduled", "Window"]

log = logging.getLogger(__name__)

_LOOK_S = 0.1
_REPORT_S = 60.0
_WINDOW = 100
_TOPOLOGY = Topology(exchanges=(Exchange(FLAGS_EXCHANGE, ExchangeKind.FANOUT),), queues=(), bindings=())
_encode = msgspec.json.Encoder().encode


class Window(Protocol):
    """kombu's `QoS`: how many messages may be in hand, changed from any thread."""

    def increment_eventually(self, n: int = 1) -> int: ...
    def decrement_eventually(self, n: int = 1) -> int: ...


class TakesBackWhatIsScheduled(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """In the consumer's own thread, as only that may acknowledge: what has not gone to the pool is looked at again when a flag changed.

    Needs the event loop that Celery has with RabbitMQ for every pool but gevent's and eventlet's; there work is asked when it is due.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)
    # Celery's name for it; unset, it would be the class's long one in the worker's graph.
    label: ClassVar[str] = "Recall"

    def start(self, c: _Consumer) -> None:
        """Begin; Celery calls this again after a lost connection, which has cleared its timer."""
        if c.hub is not None:
            c.timer.call_repeatedly(_LOOK_S, _look_again)


class _Timer(Protocol):
    def call_repeatedly(self, secs: float, fun: Callable[[], None]) -> object: ...


class _Consumer(Protocol):
    hub: object | None
    timer: _Timer


def _look_again() -> None:
    handing_over = RecallableRequest.handing_over
    if handing_over is not None:
        handing_over.look_again()


@dataclass(slots=True)
class _Followed:
    version: int
    started: int
    until_s: float
    window: Window
    told: WorkerCounts | None = None
    received: int = -1
    idle: int = 0


class RecallWatch:
    """Tells everybody how far the worker is with each recall. A thread of its own: no task waits for it."""

    def __init__(
        self,
        in_force: FlagsInForce,
        handing_over: HandingOver,
        *,
        worker: str,
        tasks: Collection[str],
        queues: Collection[str],
        amqp_url: str,
    ) -> None:
        self._in_force = in_force
        self._handing_over = handing_over
        self._worker = worker
        self._tasks = tasks
        self._queues = queues
        self._publisher = ConfirmedPublisher(amqp_url, _TOPOLOGY)
        self._heard: queue.SimpleQueue[_Followed | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dualrun-recalls", daemon=True)
        self._window: Callable[[], Window] | None = None

    def start(self, window: Callable[[], Window]) -> None:
        """Begin to hear; `window` gives the one of the connection there is then."""
        self._window = window
        self._thread.start()
        self._in_force.listen(self._hear)

    def stop(self) -> None:
        """Say no more."""
        self._heard.put(None)

    def _hear(self, version: int) -> None:
        recalled = {task for task in self._tasks if self._in_force.recalled_before(task) == version}
        if not recalled or self._window is None:
            return
        started = self._handing_over.started(recalled, version)
        self._heard.put(_Followed(version, started, time.monotonic() + _REPORT_S, self._window()))

    def _run(self) -> None:
        followed: list[_Followed] = []
        while True:
            try:
                new = self._heard.get(timeout=_LOOK_S if followed else None)
            except queue.Empty:
                followed = self._told(followed)
                continue
            if new is None:
                return self._publisher.close()
            # What waits behind work that takes long must come into the worker's hands to be given back.
            new.window.increment_eventually(_WINDOW)
            followed = self._told([*followed, new])

    def _told(self, followed: list[_Followed]) -> list[_Followed]:
        """Those that have something left to say."""
        left: list[_Followed] = []
        waiting = self._waiting()
        for recall in followed:
            try:
                self._tell(recall, waiting)
            except Exception:  # an observer: what is told of a recall must not keep anything from going on
                log.warning("recall_not_told", exc_info=True, extra={"version": recall.version})
            if recall.idle < 2 and time.monotonic() < recall.until_s:
                left.append(recall)
            else:
                recall.window.decrement_eventually(_WINDOW)
        return left

    def _tell(self, recall: _Followed, waiting: int) -> None:
        received = self._handing_over.received_count
        is_idle = not waiting and received == recall.received
        recall.received = received
        idle = recall.idle + 1 if is_idle else 0
        counts = WorkerCounts(
            worker=self._worker,
            side=Side.LEGACY,
            version=recall.version,
            started=recall.started + self._handing_over.kept[recall.version],
            given_back=self._handing_over.given_back[recall.version],
            # What is between the queue and this process is in neither: only a second look at nothing is believed.
            waiting=waiting or int(idle < 2),
        )
        if counts != recall.told:
            self._publisher.send("", Message(body=_encode(counts)), exchange=FLAGS_EXCHANGE)
            recall.told = counts
        recall.idle = idle

    def _waiting(self) -> int:
        """Messages of any task that were not looked at; those in hand are."""
        try:
            ready = sum(self._publisher.depth(name) for name in self._queues)
        except Exception:  # the broker is away, or a queue was deleted: nobody knows
            log.info("depth_unknown", exc_info=True)
            self._publisher.close()
            return 1
        return ready + self._handing_over.undecided
