"""What became of work in flight when a flag changed: every gateway and worker tells its share, and every gateway adds them up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec

from dualrun.contracts.recall import Overrides, RedirectCounts, WorkerCounts
from gateway.usecases.redirect_work import Whereto

__all__ = ["InFlight", "InFlightCounts"]

log = logging.getLogger(__name__)

_VERSIONS = 500
_TELL_AGAIN_S = 0.05
_UNEXPECTED_S = 0.5
_decoder = msgspec.json.Decoder(Overrides | WorkerCounts | RedirectCounts)
_encode = msgspec.json.Encoder().encode


class InFlightCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that a flag version recalled, by what became of them so far."""

    redirected: int = 0
    """Sent to the side that is the authority now, to start at once."""
    scheduled: int = 0
    """Sent there with an eta that lies ahead."""
    started: int = 0
    """Started before their worker heard of the version: finished where they are."""
    kept: int = 0
    """Left on their side: it is the authority for their cohort keys still."""
    waiting: int = 0
    """Messages of any task that workers have not looked at yet, as they last said."""
    workers: int = 0
    """Workers that have said what they had in hand."""
    complete: bool = False
    """Whether everybody has said that nothing is left. Otherwise ask again: numbers may still grow."""


@dataclass(slots=True)
class _Told:
    gateways: dict[str, RedirectCounts] = field(default_factory=dict)
    workers: dict[str, WorkerCounts] = field(default_factory=dict)


class InFlight:
    """Adds up what is told. Numbers are told as totals, so that hearing them twice, late or not at all does no harm for long."""

    def __init__(self, gateway: str, tell: Callable[[bytes], Awaitable[object]]) -> None:
        self._gateway = gateway
        self._tell = tell
        self._versions: OrderedDict[int, _Told] = OrderedDict()
        self._untold: set[int] = set()
        self._telling: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def count(self, version: int, whereto: Whereto) -> None:
        """One more message this gateway has dealt with."""
        told = self._told(version).gateways
        present = told.get(self._gateway) or RedirectCounts(gateway=self._gateway, version=version)
        told[self._gateway] = msgspec.structs.replace(present, **{whereto.value: getattr(present, whereto.value) + 1})
        self._news.set()
        self._untold.add(version)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all(), name="tell what was redirected")

    def hear(self, notice: bytes) -> None:
        """Take in what somebody tells; what is not about this, or from a later release, is passed over."""
        try:
            said = _decoder.decode(notice)
        except msgspec.MsgspecError:
            log.debug("notice_unreadable", exc_info=True)
            return
        if isinstance(said, WorkerCounts):
            self._told(said.version).workers[said.worker] = said
            self._news.set()
        elif isinstance(said, RedirectCounts) and said.gateway != self._gateway:
            self._told(said.version).gateways[said.gateway] = said
            self._news.set()

    def counts(self, version: int, expected_workers: int | None) -> InFlightCounts:
        """What is known now of the messages the version recalled; never complete where nobody knows how many workers there are (None)."""
        told = self._versions.get(version) or _Told()
        gateways, workers = told.gateways.values(), told.workers.values()
        dealt_with = sum(counts.redirected + counts.scheduled + counts.kept + counts.repeated for counts in gateways)
        waiting = sum(counts.waiting for counts in workers)
        is_heard = expected_workers is not None and len(workers) >= max(1, expected_workers)
        return InFlightCounts(
            redirected=sum(counts.redirected for counts in gateways),
            scheduled=sum(counts.scheduled for counts in gateways),
            kept=sum(counts.kept for counts in gateways),
            started=sum(counts.started for counts in workers),
            waiting=waiting,
            workers=len(workers),
            complete=is_heard and not waiting and dealt_with >= sum(counts.given_back for counts in workers),
        )

    async def settled(self, version: int, expected_workers: int | None, wait_s: float) -> InFlightCounts:
        """The counts once they are complete, or as they are after `wait_s`. Where no worker is alive, one may yet speak."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(wait_s, _UNEXPECTED_S) if expected_workers == 0 else wait_s):
                while not self.counts(version, expected_workers).complete:
                    self._news.clear()
                    await self._news.wait()
        return self.counts(version, expected_workers)

    async def stop(self) -> None:
        """Tell what is not told yet."""
        if self._telling is not None:
            await self._telling

    def _told(self, version: int) -> _Told:
        told = self._versions.get(version)
        if told is None:
            told = self._versions[version] = _Told()
            if len(self._versions) > _VERSIONS:
                self._versions.popitem(last=False)
        return told

    async def _tell_all(self) -> None:
        while self._untold:
            await asyncio.sleep(_TELL_AGAIN_S)
            untold, self._untold = self._untold, set()
            for version in untold:
                await self._tell(_encode(self._told(version).gateways[self._gateway]))
