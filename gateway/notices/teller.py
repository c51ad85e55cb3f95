"""Puts every flag version and every word of the gate into the log of notices. Each gateway does; the log keeps one of each."""

from __future__ import annotations

import asyncio
import logging

from dualrun.background import cancelled
from gateway.core.errors import StoreUnavailable
from gateway.core.notice import NoticeType, notice_of_verdict, notice_of_version
from gateway.core.ports import FlagStore, GateNotices, NoticeLog
from gateway.usecases.read_flag_history import ReadFlagHistory

__all__ = ["NoticeTeller"]

log = logging.getLogger(__name__)

_LOOK_S = 0.2
_PAUSE_S = 1.0
_PAGE = 100


class NoticeTeller:
    """Follows the flags in force and the gate. What the log cannot take now is told when it is back: versions are kept, and numbered."""

    def __init__(self, flags: FlagStore, gate: GateNotices, notices: NoticeLog) -> None:
        self._flags = flags
        self._history = ReadFlagHistory(flags)
        self._gate = gate
        self._notices = notices
        self._told: int | None = None
        self._began_at = 0
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin; versions that came to be while no gateway was up are told too."""
        self._began_at = self._flags.snapshot.version
        self._running = [
            asyncio.create_task(self._follow_flags(), name="tell flag versions"),
            asyncio.create_task(self._follow_gate(), name="tell gate verdicts"),
        ]

    async def stop(self) -> None:
        """Tell no more."""
        for task in self._running:
            await cancelled(task)

    async def _follow_flags(self) -> None:
        while True:
            try:
                await self._tell_versions()
            except StoreUnavailable as exc:
                log.warning("flag_versions_not_told", extra={"reason": str(exc)})
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(_LOOK_S)

    async def _tell_versions(self) -> None:
        present = self._flags.snapshot.version
        if self._told is None:
            newest = await self._notices.newest(NoticeType.FLAG_VERSION)
            # Where nothing was ever told, what was before is no news.
            self._told = self._began_at - 1 if newest is None else int(str(newest.data["version"]))
        if present <= self._told:
            return
        page = await self._history.page(before=present + 1, limit=min(_PAGE, present - self._told))
        for read in reversed(page.versions):
            if read.snapshot.version > self._told:
                await self._notices.append(notice_of_version(read.snapshot, read.compared_with, read.changes))
        self._told = present

    async def _follow_gate(self) -> None:
        async for verdict in self._gate.verdicts():
            try:
                await self._notices.append(notice_of_verdict(verdict))
            except StoreUnavailable as exc:
                log.warning("gate_verdict_not_told", extra={"verdict": verdict.id, "reason": str(exc)})
