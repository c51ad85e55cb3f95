"""Recalled work of services that have no live worker to give it back: one of all gateways takes it, once a service and flag version."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from dualrun.background import cancelled
from dualrun.broker import Broker
from dualrun.contracts import Side
from dualrun.contracts.recall import WorkerCounts
from dualrun.errors import BrokerError
from dualrun.inbox import Inbox, InboxUnavailable
from gateway.core.errors import StoreUnavailable
from gateway.core.flags import FlagSnapshot
from gateway.core.ports import Catalogue, ClaimState, IdempotencyStore
from gateway.dispatch.left_queues import LeftQueues, recall_of

__all__ = ["TakeBack"]

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.25
_FIND_EVERY_S = 10.0
_GIVE_BACK_S = 2.0
_encode = msgspec.json.Encoder().encode


class TakeBack:
    """Looks again and again whether a service without a live worker has work that a flag version recalls.

    It does nothing while Redis is away: nobody knows then who is alive.
    """

    def __init__(
        self,
        broker: Broker,
        inbox: Inbox,
        *,
        catalogue: Catalogue,
        snapshot: Callable[[], FlagSnapshot],
        idempotency: IdempotencyStore,
        tell: Callable[[bytes], Awaitable[object]],
        gateway: str,
    ) -> None:
        self._broker = broker
        self._inbox = inbox
        self._catalogue = catalogue
        self._snapshot = snapshot
        self._idempotency = idempotency
        self._tell = tell
        self._gateway = gateway
        self._done: dict[str, int] = {}
        """The latest version dealt with, by service."""
        self._found: Mapping[str, int] = {}
        self._found_at = (-1, 0.0)
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._looking = asyncio.create_task(self._run(), name="take back")

    async def stop(self) -> None:
        """Look no more; what is in hand goes back."""
        await cancelled(self._looking, again_s=_GIVE_BACK_S)

    async def look(self) -> None:
        """Take back what is left alone now."""
        if not self._catalogue.current:
            return
        alive = {worker.service for worker in self._catalogue.workers() if worker.side is Side.EVENTS and worker.alive}
        for service, version in self._recalled_services().items():
            if service not in alive and self._done.get(service, 0) < version and await self._take_back(service, version):
                self._done[service] = version

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:  # an observer: nothing depends on it that a worker would not do as well
                log.exception("take_back_failed")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _recalled_services(self) -> Mapping[str, int]:
        """The latest version that recalls a task of each service: looked for when flags have changed, and now and then."""
        version, now_s = self._snapshot().version, time.monotonic()
        if version != self._found_at[0] or now_s - self._found_at[1] > _FIND_EVERY_S:
            recalls, found = self._recalls(), Counter[str]()
            for task in self._catalogue.names() if recalls else ():
                served = self._catalogue.served_by(task).get(Side.EVENTS)
                recall = recall_of(task, recalls)
                if recall and served is not None and served.service:
                    found[served.service] = max(recall, found[served.service])
            self._found, self._found_at = found, (version, now_s)
        return self._found

    def _recalls(self) -> Mapping[str, int]:
        return self._snapshot().recalls.get(Side.EVENTS, {})

    async def _take_back(self, service: str, version: int) -> bool:
        """Whether it is done, by this gateway or another."""
        key = f"take-back\x1f{service}\x1f{version}"
        try:
            claim = await self._idempotency.claim(key, "take-back", service)
        except StoreUnavailable:
            return False
        if claim.state is not ClaimState.NEW:
            return claim.state is ClaimState.DONE
        try:
            given_back = await LeftQueues(self._broker, self._inbox, service, self._recalls).give_back()
            await self._idempotency.complete(key, b"1")
        except (BrokerError, InboxUnavailable, StoreUnavailable) as exc:
            log.warning("take_back_delayed", extra={"service": service, "version": version, "error": str(exc)})
            with contextlib.suppress(StoreUnavailable):
                await self._idempotency.release(key)
            return False
        log.info("taken_back", extra={"service": service, "version": version, "count": given_back.total()})
        await self._tell_counts(service, {version: 0, **given_back})
        return True

    async def _tell_counts(self, service: str, given_back: Mapping[int, int]) -> None:
        """Say what a worker would: so it is known that nothing is waited for."""
        for version, count in given_back.items():
            worker = f"{self._gateway} for {service}"
            counts = WorkerCounts(worker=worker, side=Side.EVENTS, version=version, started=0, given_back=count, waiting=0)
            await self._tell(_encode(counts))
