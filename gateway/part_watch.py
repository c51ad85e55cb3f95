"""What a gateway tells of the parts it stands on: which answer, and how much waits in the queues."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dualrun.background import cancelled
from dualrun.broker import Broker
from dualrun.contracts.topology import RECORDS_QUEUE, REDIRECT_QUEUE, dead_letter_queue, service_queue, shadow_queue
from dualrun.errors import BrokerError
from gateway.core.ports import Catalogue
from gateway.usecases.examine_installation import services_in

__all__ = ["PartWatch", "watched_queues"]

log = logging.getLogger(__name__)

_FIRST_LOOK_S = 0.5


class PartWatch(Collector):
    """Looks every `interval_s`, so that a scrape costs nothing and asks nobody."""

    def __init__(
        self,
        *,
        probes: Mapping[str, Callable[[], Awaitable[str | None]]],
        broker: Broker,
        catalogue: Catalogue,
        interval_s: float = 10.0,
    ) -> None:
        self._probes = probes
        self._broker = broker
        self._catalogue = catalogue
        self._interval_s = interval_s
        self._parts: dict[str, bool] = {}
        self._messages: dict[str, int] = {}
        self._consumers: dict[str, int] = {}
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look beside the caller."""
        self._running = asyncio.create_task(self._watch(), name="parts")

    async def stop(self) -> None:
        """Look no more."""
        await cancelled(self._running)

    async def look(self) -> None:
        """Look once."""
        for name, probe in self._probes.items():
            self._parts[name] = await probe() is None
        messages: dict[str, int] = {}
        consumers: dict[str, int] = {}
        with contextlib.suppress(BrokerError):
            for queue in watched_queues(self._catalogue):
                depth = await self._broker.depth(queue)
                if depth is not None:
                    messages[queue], consumers[queue] = depth.ready, depth.consumers
        # What is not known now is not told: a number of an hour ago would look like one of now.
        self._messages, self._consumers = messages, consumers

    def collect(self) -> Iterator[Metric]:
        """What Prometheus is told at each scrape."""
        parts = GaugeMetricFamily("dualrun_part_up", "1 where a part this gateway stands on answers", labels=["part"])
        for name, is_up in self._parts.items():
            parts.add_metric([name], float(is_up))
        workers = GaugeMetricFamily("dualrun_workers_alive", "Workers alive that serve a task", labels=["task", "side"])
        for task in self._catalogue.names():
            for side in self._catalogue.served_by(task):
                workers.add_metric([task, side.value], self._catalogue.live_workers(side, task))
        yield from (
            parts,
            workers,
            _by_queue("dualrun_queue_messages", "Messages that wait in a queue of dualrun", self._messages),
            _by_queue("dualrun_queue_consumers", "Who consumes from a queue of dualrun", self._consumers),
        )

    async def _watch(self) -> None:
        pause_s = _FIRST_LOOK_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = self._interval_s
            try:
                await self.look()
            except Exception:  # observer: what cannot be told must not end the telling
                log.exception("parts_not_seen")


def watched_queues(catalogue: Catalogue) -> list[str]:
    """Queues of dualrun's own, and of every service that has announced event handlers; each with its dead letters."""
    queues = [RECORDS_QUEUE, REDIRECT_QUEUE]
    for service in services_in(catalogue):
        queues += [service_queue(service), shadow_queue(service)]
    return [name for queue in queues for name in (queue, dead_letter_queue(queue))]


def _by_queue(name: str, text: str, numbers: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["queue"])
    for queue, number in numbers.items():
        family.add_metric([queue], number)
    return family
