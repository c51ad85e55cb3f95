"""Submit: check, decide, publish for the authority with a confirm, put on record; the shadow follows by itself."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from dualrun.contracts import Decision, Role, ServedTask, Side, Submission, SubmissionRecord, Work
from dualrun.errors import Unroutable
from dualrun.log_line import log_fields
from gateway.core.errors import (
    DispatchFailed,
    FieldError,
    GatewayError,
    IdempotencyConflict,
    InvalidOptions,
    StoreUnavailable,
    UnknownTask,
)
from gateway.core.nearest import nearest
from gateway.core.ports import CallerAct, CallerCounts, Catalogue, Claim, ClaimState, Dispatcher, FlagStore, IdempotencyStore, RecordSink
from gateway.core.request import TaskRequest, submission_of
from gateway.core.routing import cohort_key_of, decide_under
from gateway.core.targeting import HeaderLookup
from gateway.usecases.shadow_lane import ShadowLane

__all__ = ["Accepted", "ArgumentCheck", "SubmitTask", "Submitted"]

log = logging.getLogger(__name__)

ArgumentCheck = Callable[[ServedTask, TaskRequest], None]
"""Raises `InvalidArguments` where the handler's payload model would refuse the arguments."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an accepted submission."""

    id: str
    task: str
    decision: Decision
    status: str = "accepted"


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted submission; `replayed` when an earlier request with the same key had it accepted."""

    accepted: Accepted
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Prepared:
    submission: Submission
    decision: Decision
    served: Mapping[Side, ServedTask]

    def work(self, role: Role) -> tuple[Work, ServedTask] | None:
        side = self.decision.authority if role is Role.AUTHORITY else self.decision.shadow
        if side is None or side not in self.served:
            return None
        return Work(submission=self.submission, decision=self.decision, side=side, role=role), self.served[side]


class SubmitTask:
    """Takes submissions. When it returns, the authority's message is confirmed by its broker and the submission is on record."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        flags: FlagStore,
        dispatchers: Mapping[Side, Dispatcher],
        records: RecordSink,
        idempotency: IdempotencyStore,
        callers: CallerCounts,
        shadows: ShadowLane,
        check_arguments: ArgumentCheck,
        check_always: bool = True,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._catalogue = catalogue
        self._flags = flags
        self._dispatchers = dispatchers
        self._records = records
        self._idempotency = idempotency
        self._callers = callers
        self._shadows = shadows
        self._check_arguments = check_arguments
        self._check_always = check_always
        self._now = now
        self._new_id = new_id
        self._unrecorded: set[asyncio.Task[None]] = set()

    async def one(
        self,
        request: TaskRequest,
        *,
        idempotency_key: str | None = None,
        traceparent: str | None = None,
        header: HeaderLookup | None = None,
    ) -> Submitted:
        """Accept one submission; `header` looks up the headers it came with, for flags that deal cohorts by one.

        Raises a `SubmissionRejected` (nothing was published), `DispatchFailed` (the authority's message was not confirmed) or
        `StoreUnavailable` (an idempotency key was given and cannot be checked now).
        """
        if idempotency_key is None:
            prepared = self._prepare(request, self._new_id(), traceparent, header)
            await self._publish(prepared)
            return Submitted(_accepted(prepared))
        return await self._once(request, idempotency_key, traceparent, header)

    async def many(
        self, requests: Sequence[TaskRequest | GatewayError], *, traceparent: str | None = None, header: HeaderLookup | None = None
    ) -> list[Accepted | GatewayError]:
        """Accept what can be accepted of a batch; an answer or an error for each, in order. One bad item sinks no other."""
        answers: list[Accepted | GatewayError] = []
        prepared: list[tuple[int, _Prepared]] = []
        for position, request in enumerate(requests):
            ready = self._attempt(request, traceparent, header)
            if isinstance(ready, GatewayError):
                answers.append(ready)
            else:
                prepared.append((position, ready))
                answers.append(_accepted(ready))
        failures = await self._publish_many([ready for _, ready in prepared])
        for (position, _), failure in zip(prepared, failures, strict=True):
            if failure is not None:
                answers[position] = failure
        return answers

    async def settle(self, drain_s: float) -> None:
        """Wait for the records still on their way, for at most that long; log how many were lost to the ledger."""
        if not self._unrecorded:
            return
        _, late = await asyncio.wait(self._unrecorded, timeout=drain_s)
        for task in late:
            task.cancel()
        if late:
            log.error("records_lost", extra={"count": len(late)})

    def _attempt(
        self, request: TaskRequest | GatewayError, traceparent: str | None, header: HeaderLookup | None
    ) -> _Prepared | GatewayError:
        if isinstance(request, GatewayError):
            return request
        try:
            return self._prepare(request, self._new_id(), traceparent, header)
        except GatewayError as exc:
            return exc

    def _prepare(self, request: TaskRequest, submission_id: str, traceparent: str | None, header: HeaderLookup | None) -> _Prepared:
        served = self._catalogue.served_by(request.task)
        if not served:
            raise UnknownTask(request.task, nearest(request.task, self._catalogue.names()))
        snapshot = self._flags.snapshot
        flag = snapshot.flag_for(request.task)
        submission = submission_of(
            request,
            submission_id=submission_id,
            now=self._now(),
            traceparent=traceparent,
            cohort_key=cohort_key_of(flag, request, header),
        )
        decision = decide_under(flag, request.task, submission.cohort_key, submission, snapshot.version)
        if Side.EVENTS in served and (self._check_always or decision.authority is Side.EVENTS):
            self._check_arguments(served[Side.EVENTS], request)
        if decision.authority not in served:
            raise DispatchFailed(
                decision.authority,
                f"its flag sends {request.task!r} here, but no worker of this side has announced it",
                maybe_published=False,
            )
        return _Prepared(submission, decision, served)

    async def _publish(self, prepared: _Prepared) -> None:
        authority = prepared.work(Role.AUTHORITY)
        assert authority is not None
        work, served = authority
        with log_fields(prepared.submission.id, prepared.submission.traceparent):
            try:
                await self._dispatchers[work.side].send(work, served)
            except DispatchFailed as exc:
                raise _callers_fault(exc, prepared) or exc from exc
            await self._after_confirm([prepared])

    async def _publish_many(self, batch: Sequence[_Prepared]) -> list[GatewayError | None]:
        failures: list[GatewayError | None] = [None] * len(batch)
        for side, dispatcher in self._dispatchers.items():
            share = [(i, work) for i, p in enumerate(batch) if (work := p.work(Role.AUTHORITY)) is not None and work[0].side is side]
            if not share:
                continue
            for (i, _), failure in zip(share, await dispatcher.send_many([work for _, work in share]), strict=True):
                failures[i] = failure and (_callers_fault(failure, batch[i]) or failure)
        await self._after_confirm([p for p, failure in zip(batch, failures, strict=True) if failure is None])
        return failures

    async def _after_confirm(self, batch: Sequence[_Prepared]) -> None:
        if not batch:
            return
        for prepared in batch:
            shadow = prepared.work(Role.SHADOW)
            if shadow is not None:
                self._shadows.offer(*shadow)
        records = [SubmissionRecord(submission=p.submission, decision=p.decision) for p in batch]
        try:
            await self._records.append(records)
        except StoreUnavailable as exc:
            # The task is accepted and will run: its record follows when it can, the caller does not wait for it.
            log.warning("record_delayed", extra={"count": len(records), "reason": str(exc)})
            task = asyncio.create_task(self._append_later(records), name="record-later")
            self._unrecorded.add(task)
            task.add_done_callback(self._unrecorded.discard)

    async def _append_later(self, records: Sequence[SubmissionRecord]) -> None:
        delay_s = 0.5
        while True:
            await asyncio.sleep(delay_s)
            try:
                return await self._records.append(records)
            except StoreUnavailable:
                delay_s = min(delay_s * 2, 30.0)

    async def _once(self, request: TaskRequest, key: str, traceparent: str | None, header: HeaderLookup | None) -> Submitted:
        claim = await self._idempotency.claim(key, fingerprint_of(request), self._new_id())
        if claim.state is not ClaimState.NEW:
            answer = _repeated(key, claim)
            self._callers.note(answer.accepted.task, CallerAct.KEY_REPEATED)
            return answer
        try:
            prepared = self._prepare(request, claim.submission_id, traceparent, header)
            await self._publish(prepared)
        except DispatchFailed as exc:
            # Perhaps published: the claim runs out with its lease, and a repeat then carries the same submission id.
            if not exc.maybe_published:
                await self._idempotency.release(key)
            raise
        except GatewayError:
            await self._idempotency.release(key)
            raise
        accepted = _accepted(prepared)
        try:
            await self._idempotency.complete(key, msgspec.json.encode(accepted))
        except StoreUnavailable:
            log.warning("idempotency_not_completed", extra={"submission_id": accepted.id})
        return Submitted(accepted)


def fingerprint_of(request: TaskRequest) -> str:
    """What two requests with one idempotency key must share."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def _accepted(prepared: _Prepared) -> Accepted:
    return Accepted(id=prepared.submission.id, task=prepared.submission.task, decision=prepared.decision)


def _repeated(key: str, claim: Claim) -> Submitted:
    if claim.state is ClaimState.DONE and claim.response is not None:
        return Submitted(msgspec.json.decode(claim.response, type=Accepted), replayed=True)
    raise IdempotencyConflict(key, in_progress=claim.state is ClaimState.IN_PROGRESS)


def _callers_fault(failure: DispatchFailed, prepared: _Prepared) -> InvalidOptions | None:
    if prepared.submission.options.queue is not None and isinstance(failure.__cause__, Unroutable):
        return InvalidOptions([FieldError("/queue", "no queue of that name exists on the legacy broker")])
    return None
