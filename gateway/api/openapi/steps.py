"""What the document says of the routes that move a task a step on, hold it, or roll it back."""

from __future__ import annotations

from gateway.api.openapi.described import UNAVAILABLE, UNREADABLE, Described, answer, body, problem
from gateway.api.openapi.flags import FLAG_CHANGE

__all__ = ["HOLD", "PROMOTE", "READ_GATE", "READ_IN_FLIGHT", "ROLL_BACK"]

_IN_FLIGHT = {"redirected": 990, "scheduled": 6, "started": 4, "kept": 0, "waiting": 0, "workers": 2, "complete": True}
_STEP = {"name": "canary 10 %", "mode": "canary", "percent": 10.0}
_PROMOTED = {"version": 8, "step": _STEP, "changed": True, "changes": [FLAG_CHANGE], "in_flight": None}
_ROLLED_BACK = {
    "version": 8,
    "changed": True,
    "changes": [
        {
            "task": "order.send_order_confirmation",
            "kind": "changed",
            "members": [{"member": "mode", "before": "events", "after": "legacy"}],
        }
    ],
    "stored": True,
    "in_flight": _IN_FLIGHT,
}
READ_GATE = Described(
    responses={
        200: answer("Where the task stands", "GateView", headers=("ETag",)),
        404: problem("No flag names the task"),
        422: UNREADABLE[422],
        503: problem("A store is out of reach: nothing is known, so the task stays where it is", ("Retry-After",)),
    }
)
PROMOTE = Described(
    openapi_extra=body("PromoteBody", {"author": "ann", "reason": "a week without differences"}, is_required=False),
    responses={
        200: answer("In force, on every gateway", "PromotedView", _PROMOTED, ("ETag",)),
        404: problem("No flag names the task"),
        409: problem("Not proven, too far, held, nobody there to run it, or somebody else was first"),
        **UNREADABLE,
        503: UNAVAILABLE,
    },
)
HOLD = Described(
    openapi_extra=body("HoldBody", {"author": "ann", "reason": "stock-taking"}, is_required=False),
    responses={
        200: answer("In force, on every gateway", "PromotedView", {**_PROMOTED, "changes": []}, ("ETag",)),
        404: problem("No flag names the task"),
        409: problem("Somebody else was first, or the flags are changed by file alone"),
        **UNREADABLE,
        503: UNAVAILABLE,
    },
)
ROLL_BACK = Described(
    openapi_extra=body("RollbackBody", {"author": "ann", "reason": "double mails"}, is_required=False),
    responses={
        200: answer("In force, on every gateway", "RollbackView", _ROLLED_BACK, ("ETag",)),
        404: problem("No flag names the task, or no such version is kept"),
        409: problem("The flags are changed by file alone"),
        **UNREADABLE,
        503: problem("The flag store is out of reach, and nothing is known to have changed: repeat it", ("Retry-After",)),
    },
)
READ_IN_FLIGHT = Described(
    responses={200: answer("The counts", "InFlightView", {"version": 8, "in_flight": _IN_FLIGHT}), 422: UNREADABLE[422]}
)
