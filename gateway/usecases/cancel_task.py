"""Cancel a submission on both sides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from dualrun.contracts import Decision, Role, Side
from gateway.core.cancellation import Asked, Cancellation, Cancelled
from gateway.core.errors import AlreadyEnded, CancelFailed
from gateway.core.ports import Canceller, Catalogue
from gateway.core.report import SubmissionView
from gateway.usecases.read_submission import ReadSubmission

__all__ = ["CancelTask"]

log = logging.getLogger(__name__)


class CancelTask:
    """Asks every side that serves the task: while a flag changes, work may be on its way from one to the other."""

    def __init__(self, *, read: ReadSubmission, catalogue: Catalogue, cancellers: Mapping[Side, Canceller]) -> None:
        self._read = read
        self._catalogue = catalogue
        self._cancellers = cancellers

    async def one(self, submission_id: str) -> Cancelled:
        """Return once the authority's side was asked; whether it was in time, the outcome tells. Asking again does no harm.

        Raises `NotFound`, `AlreadyEnded`, `CancelFailed` where the authority's side is out of reach, `StoreUnavailable`.
        """
        view = await self._read.view(submission_id)
        if view.authority is not None:
            raise AlreadyEnded(submission_id, view.authority.state)
        served = self._catalogue.served_by(view.submission.task)
        sides = [side for side in Side if side in served or side is view.decision.authority]
        answers = await asyncio.gather(*(self._ask(side, view) for side in sides))
        failed = next((answer for answer in answers if isinstance(answer, CancelFailed) and answer.side is view.decision.authority), None)
        if failed is not None:
            raise failed
        log.info("task_cancelled", extra={"submission_id": submission_id, "task": view.submission.task})
        return Cancelled(
            id=submission_id,
            task=view.submission.task,
            decision=view.decision,
            asked=tuple(_asked(side, view.decision, answer) for side, answer in zip(sides, answers, strict=True)),
        )

    async def _ask(self, side: Side, view: SubmissionView) -> str | CancelFailed:
        served = self._catalogue.served_by(view.submission.task).get(side)
        if served is None:
            return CancelFailed(side, "no worker has announced that it serves the task")
        cancellation = Cancellation(
            submission=view.submission,
            role=_role_of(side, view.decision),
            shadowed=side is view.decision.shadow,
            served=served,
            redirects=0 if view.redirected is None else view.redirected.times,
        )
        try:
            return await self._cancellers[side].cancel(cancellation)
        except CancelFailed as exc:
            log.warning("cancel_failed", extra={"submission_id": view.submission.id, "side": side.value, "error": str(exc)})
            return exc


def _role_of(side: Side, decision: Decision) -> Role | None:
    if side is decision.authority:
        return Role.AUTHORITY
    return Role.SHADOW if side is decision.shadow else None


def _asked(side: Side, decision: Decision, answer: str | CancelFailed) -> Asked:
    return Asked(side=side, role=_role_of(side, decision), asked=isinstance(answer, str), detail=str(answer))
