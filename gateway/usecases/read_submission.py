"""Read one submission back, and wait for its result."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dualrun.contracts import Outcome
from gateway.core.errors import NotFound
from gateway.core.ports import CallerAct, CallerCounts, LedgerReader, OutcomeNotices
from gateway.core.report import SubmissionView

__all__ = ["ReadSubmission", "Shown", "shown_view"]

_FRESH = timedelta(seconds=5)
_LOOK_AGAIN_S = 0.05
_LOOK_AT_LEAST_EVERY_S = 0.5


Shown = Callable[[Outcome], Outcome]
"""An outcome on record as people see it who are not its caller."""


def shown_view(view: SubmissionView, shown: Shown) -> SubmissionView:
    """The view, both outcomes as people see them."""
    return replace(
        view,
        authority=None if view.authority is None else shown(view.authority),
        shadow=None if view.shadow is None else shown(view.shadow),
    )


class ReadSubmission:
    """Looks submissions up in the ledger, which is written a moment after they were accepted."""

    def __init__(
        self,
        ledger: LedgerReader,
        notices: OutcomeNotices,
        now: Callable[[], datetime],
        *,
        shown: Shown,
        callers: CallerCounts,
        grace_s: float = 2.0,
    ) -> None:
        self._ledger = ledger
        self._notices = notices
        self._now = now
        self._shown = shown
        self._callers = callers
        self._grace_s = grace_s

    async def view(self, submission_id: str) -> SubmissionView:
        """Everything known of it, for people to look at. Raises `NotFound`, `StoreUnavailable`."""
        return shown_view(await self._on_record(submission_id), self._shown)

    async def _on_record(self, submission_id: str) -> SubmissionView:
        """One accepted seconds ago may not be on record yet: it is looked for again for a moment."""
        deadline = asyncio.get_running_loop().time() + (self._grace_s if self._is_fresh(submission_id) else 0.0)
        while True:
            view = await self._ledger.submission(submission_id)
            if view is not None:
                return view
            if asyncio.get_running_loop().time() >= deadline:
                raise NotFound(f"no submission {submission_id!r} is on record, or not any more")
            await self._notices.wait(submission_id, _LOOK_AGAIN_S)

    async def result(self, submission_id: str, wait_s: float) -> Outcome | None:
        """The authority's outcome as its caller gets it; None where it has not come within `wait_s`.

        Raises `NotFound`, `StoreUnavailable`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        view = await self._on_record(submission_id)
        self._callers.note(view.submission.task, CallerAct.RESULT_ASKED)
        while True:
            outcome = view.authority
            left_s = deadline - loop.time()
            if outcome is not None or left_s <= 0:
                return outcome
            # A notice is a hint and can be lost or come before we listen: the ledger is asked again in any case.
            await self._notices.wait(submission_id, min(left_s, _LOOK_AT_LEAST_EVERY_S))
            view = await self._on_record(submission_id)

    def _is_fresh(self, submission_id: str) -> bool:
        made_at = _time_of(submission_id)
        return made_at is not None and abs(self._now() - made_at) < _FRESH


def _time_of(submission_id: str) -> datetime | None:
    """When a UUIDv7 was made (RFC 9562: its first 48 bits count milliseconds); None for any other id."""
    try:
        value = UUID(submission_id)
        return datetime.fromtimestamp((value.int >> 80) / 1_000, UTC) if value.version == 7 else None
    except (ValueError, OverflowError, OSError):
        return None
