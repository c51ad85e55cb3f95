"""Hints and notices between processes, and to webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from gateway.core.notice import Logged, Notice, NoticeType

__all__ = ["NoticeLog", "OutcomeNotices", "WebhookLeases"]


class OutcomeNotices(Protocol):
    """Wakes whoever waits for an outcome. A notice is a hint: who misses one asks the ledger."""

    async def notify(self, submission_ids: Sequence[str]) -> None:
        """Tell every gateway. Never raises."""
        ...

    async def wait(self, submission_id: str, timeout_s: float) -> bool:
        """True when a notice for it came within the time."""
        ...


class NoticeLog(Protocol):
    """The latest notices, in one order for every process. Positions are opaque and sort by time."""

    async def append(self, notice: Notice) -> None:
        """Put it at the end, unless one of its id is there: several processes may tell the same. Raises `StoreUnavailable`."""
        ...

    async def after(self, position: str, limit: int = 100) -> Sequence[Logged]:
        """The notices behind a position (of one no longer kept: the oldest that are), oldest first. Raises `StoreUnavailable`."""
        ...

    async def end(self) -> str:
        """The position of the newest notice. Raises `StoreUnavailable`."""
        ...

    async def newest(self, kind: NoticeType) -> Notice | None:
        """The newest of a kind, as far as it is kept. Raises `StoreUnavailable`."""
        ...

    def listen(self) -> asyncio.Event:
        """Set once something is appended after this call. A hint: ask again after a while all the same."""
        ...


class WebhookLeases(Protocol):
    """Which process sends to a webhook now, and how far it has come."""

    async def hold(self, webhook: str, holder: str, lease_s: float) -> bool:
        """Take the lease, or keep it for longer; False while another holds it. Raises `StoreUnavailable`."""
        ...

    async def let_go(self, webhook: str, holder: str) -> None:
        """Another may take it at once. Raises `StoreUnavailable`."""
        ...

    async def position(self, webhook: str) -> str | None:
        """Behind which position the next notice stands; None for a webhook never seen. Raises `StoreUnavailable`."""
        ...

    async def advance(self, webhook: str, holder: str, position: str) -> bool:
        """Go on from there; False where the lease is another's by now. Raises `StoreUnavailable`."""
        ...
