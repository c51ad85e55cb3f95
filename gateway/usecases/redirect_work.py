"""Redirect: what a side gave back is decided by the flags in force and sent where it belongs, once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from dualrun.contracts import Decision, Redirected, Role, Side, SubmissionRecord, Work
from gateway.core.errors import DispatchFailed, IdempotencyConflict, StoreUnavailable
from gateway.core.ports import Catalogue, ClaimState, Dispatcher, FlagStore, IdempotencyStore, RecordSink
from gateway.core.redirect import GivenBack
from gateway.core.routing import decide

__all__ = ["RedirectWork", "Whereto"]

log = logging.getLogger(__name__)

_CATCH_UP_S = 5.0
_LOOK_AGAIN_S = 0.02


class Whereto(StrEnum):
    """What became of a message that was given back."""

    REDIRECTED = "redirected"
    """It went to the other side, to start at once."""
    SCHEDULED = "scheduled"
    """It went to the other side with an eta that lies ahead."""
    KEPT = "kept"
    """It went back to its side: that is the authority for its cohort key still."""
    REPEATED = "repeated"
    """It had been redirected before."""


class RedirectWork:
    """Id, arguments, options and eta stay as they were submitted; the decision is a new one, without a shadow.

    The message of a shadow, if there was one, is on its way since the first decision; what both sides did is not compared any more.
    """

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        flags: FlagStore,
        dispatchers: Mapping[Side, Dispatcher],
        records: RecordSink,
        idempotency: IdempotencyStore,
        now: Callable[[], datetime],
        tell: Callable[[int, Whereto], None],
    ) -> None:
        self._catalogue = catalogue
        self._flags = flags
        self._dispatchers = dispatchers
        self._records = records
        self._idempotency = idempotency
        self._now = now
        self._tell = tell
        self._catching_up = asyncio.Lock()

    async def __call__(self, returned: GivenBack) -> None:
        """Return when the message is where it belongs, confirmed.

        Raises `DispatchFailed` and `IdempotencyConflict` (another gateway has it in hand): it is to come again.
        """
        key = f"redirect\x1f{returned.submission.id}\x1f{returned.redirects + 1}"
        claimed = await self._claim(key, returned.submission.id)
        if claimed is ClaimState.DONE:
            return self._tell(returned.recalled_by, Whereto.REPEATED)
        try:
            decision = await self._decide(returned)
            await self._send(returned, decision)
        except DispatchFailed as exc:
            if claimed is ClaimState.NEW and not exc.maybe_published:
                await self._settled(self._idempotency.release(key))
            raise
        if claimed is ClaimState.NEW:
            await self._settled(self._idempotency.complete(key, b"1"))
        await self._record(returned, decision)
        return self._tell(returned.recalled_by, self._whereto(returned, decision))

    async def _claim(self, key: str, submission_id: str) -> ClaimState | None:
        """None while nobody can say: the message is redirected without, as work has to go on while Redis is away."""
        try:
            claim = await self._idempotency.claim(key, "redirect", submission_id)
        except StoreUnavailable:
            return None
        if claim.state in {ClaimState.IN_PROGRESS, ClaimState.MISMATCH}:
            raise IdempotencyConflict(key, in_progress=True)
        return claim.state

    async def _decide(self, returned: GivenBack) -> Decision:
        await self._catch_up(returned.recalled_by)
        submission = returned.submission
        return msgspec.structs.replace(decide(submission.task, submission.cohort_key, self._flags.snapshot, submission), shadow=None)

    async def _catch_up(self, version: int) -> None:
        """A worker may hear of a flag before this gateway does: by older flags the message would come back at once.

        One asks for all that wait: hundreds of questions would delay the very answer they are for.
        """
        if self._flags.snapshot.version < version:
            async with self._catching_up:
                await self._ask_for(version)

    async def _ask_for(self, version: int) -> None:
        if self._flags.snapshot.version >= version:
            return
        try:
            await self._flags.latest()
        except StoreUnavailable:
            log.info("flags_awaited", extra={"version": version, "present": self._flags.snapshot.version})
        try:
            async with asyncio.timeout(_CATCH_UP_S):
                while self._flags.snapshot.version < version:  # noqa: ASYNC110 - the port has no event for it
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except TimeoutError:
            raise DispatchFailed(Side.EVENTS, f"flag version {version} has not reached this gateway", maybe_published=False) from None

    async def _send(self, returned: GivenBack, decision: Decision) -> None:
        submission, side = returned.submission, decision.authority
        served = self._catalogue.served_by(submission.task).get(side)
        if served is None:
            raise DispatchFailed(side, f"no worker of this side has announced {submission.task!r}", maybe_published=False)
        work = Work(submission=submission, decision=decision, side=side, role=Role.AUTHORITY, redirects=returned.redirects + 1)
        await self._dispatchers[side].send(work, served)

    async def _record(self, returned: GivenBack, decision: Decision) -> None:
        redirected = Redirected(times=returned.redirects + 1, side=returned.side, decided_under=returned.decided_under)
        try:
            await self._records.append([SubmissionRecord(submission=returned.submission, decision=decision, redirected=redirected)])
        except StoreUnavailable as exc:
            # Sent and confirmed: it runs, and its outcome will be on record. Sending it again for the sake of a record would be worse.
            log.warning("redirect_not_recorded", extra={"submission_id": returned.submission.id, "reason": str(exc)})

    def _whereto(self, returned: GivenBack, decision: Decision) -> Whereto:
        if decision.authority is returned.side:
            return Whereto.KEPT
        eta = returned.submission.options.eta
        return Whereto.SCHEDULED if eta is not None and eta > self._now() else Whereto.REDIRECTED

    async def _settled(self, step: Awaitable[None]) -> None:
        try:
            await step
        except StoreUnavailable as exc:
            log.info("redirect_not_remembered", extra={"reason": str(exc)})
