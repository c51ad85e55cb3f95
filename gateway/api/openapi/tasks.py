"""What the document says of the routes that submit a task and follow it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.api.openapi.described import (
    EXAMPLE_PROBLEM,
    IDEMPOTENCY_KEY,
    TRACEPARENT,
    UNAVAILABLE,
    UNREADABLE,
    Described,
    answer,
    body,
    problem,
)
from gateway.core.request import TaskRequest

__all__ = ["CANCEL_TASK", "READ_RESULT", "READ_TASK", "REPLAY_TASK", "SUBMIT", "SUBMIT_BATCH", "BatchBody"]

_EXAMPLE_ID = "019aa3c2-7d5e-7c31-9b1e-5f0d6a4e2b11"
_DECISION = {
    "mode": "shadow",
    "authority": "legacy",
    "shadow": "events",
    "reason": "by_mode",
    "bucket": None,
    "flag_version": 3,
    "rule": None,
}
_ACCEPTED = {"id": _EXAMPLE_ID, "task": "order.send_order_confirmation", "decision": _DECISION, "status": "accepted"}
_TASK = {"task": "order.send_order_confirmation", "args": [42, "ann@example.org"]}
_BATCH_ANSWER = {"accepted": 1, "refused": 1, "results": [_ACCEPTED, {"status": "refused", "problem": EXAMPLE_PROBLEM}]}
_CANCELLED = {
    "id": _EXAMPLE_ID,
    "task": "order.send_order_confirmation",
    "decision": _DECISION,
    "asked": [
        {"side": "legacy", "role": "authority", "asked": True, "detail": "Celery's workers that are up were told to revoke it"},
        {"side": "events", "role": "shadow", "asked": True, "detail": "its workers were told through their inbox"},
    ],
}


class BatchBody(msgspec.Struct, frozen=True):
    """Up to 1,000 tasks; each is judged by itself."""

    tasks: Annotated[tuple[TaskRequest, ...], msgspec.Meta(min_length=1, max_length=1_000)]


SUBMIT = Described(
    openapi_extra={**body("TaskRequest", _TASK), "parameters": [IDEMPOTENCY_KEY, TRACEPARENT]},
    responses={
        202: answer("Accepted: confirmed by the broker", "Accepted", _ACCEPTED, ("Location",)),
        404: problem("No worker serves a task of that name"),
        409: problem("The idempotency key is taken"),
        **UNREADABLE,
        503: UNAVAILABLE,
    },
)
SUBMIT_BATCH = Described(
    openapi_extra={**body("BatchBody", {"tasks": [_TASK, {"task": "learning.add", "args": [2, 3]}]}), "parameters": [TRACEPARENT]},
    responses={
        202: answer("A result for each task, in order", "BatchAnswer", _BATCH_ANSWER),
        **UNREADABLE,
    },
)
READ_TASK = Described(responses={200: answer("What is known", "TaskView"), 404: problem("No such submission"), 422: UNREADABLE[422]})
READ_RESULT = Described(
    responses={
        200: answer("The authority's outcome", "ResultView"),
        202: answer("None yet", "ResultView", {"id": _EXAMPLE_ID, "state": "pending"}),
        404: problem("No such submission"),
        422: UNREADABLE[422],
    }
)
REPLAY_TASK = Described(
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
    responses={
        202: answer("Accepted as a new submission: confirmed by the broker", "Accepted", _ACCEPTED, ("Location",)),
        404: problem("No such submission, or no worker serves its task any more"),
        409: problem("Secrets in its arguments were not kept, or the idempotency key is taken"),
        422: UNREADABLE[422],
        503: UNAVAILABLE,
    },
)
CANCEL_TASK = Described(
    responses={
        202: answer("Asked for: the outcome tells whether it was in time", "Cancelled", _CANCELLED, ("Location",)),
        404: problem("No such submission"),
        409: problem("The authority has already ended"),
        422: UNREADABLE[422],
        503: problem("The authority's side is out of reach: nobody knows whether it will run, so repeat it", ("Retry-After",)),
    }
)
