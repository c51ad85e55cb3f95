"""What the document says of the routes that read and set flags, and their history."""

from __future__ import annotations

from gateway.api.openapi.described import IF_MATCH, UNAVAILABLE, UNREADABLE, Described, answer, body, problem

__all__ = ["FLAG_CHANGE", "READ_FLAG", "READ_FLAGS", "READ_FLAG_HISTORY", "READ_FLAG_VERSION", "SET_FLAG", "SET_FLAGS"]

FLAG_CHANGE = {
    "task": "order.send_order_confirmation",
    "kind": "changed",
    "members": [{"member": "shadow_percent", "before": 5.0, "after": 100.0}],
}
_VERSION = {
    "version": 7,
    "changed_at": "2026-11-21T09:00:00Z",
    "author": "ann",
    "reason": "a day without differences",
    "source": "cli",
    "compared_with": 6,
    "changes": [FLAG_CHANGE],
}
_FLAGS = {"flags": {"order.send_order_confirmation": {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}}, "author": "ann"}
READ_FLAGS = Described(responses={200: answer("All flags in force", "FlagsView", headers=("ETag",))})
READ_FLAG = Described(responses={200: answer("The flag in force", "FlagView", headers=("ETag",)), 404: problem("No flag names the task")})
SET_FLAG = Described(
    openapi_extra={
        **body("FlagBody", {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed", "reason": "first look"}),
        "parameters": [IF_MATCH],
    },
    responses={
        200: answer("In force, on every gateway", "FlagSetView", headers=("ETag",)),
        409: problem("The safety class forbids a shadow, its gate is not passed, or somebody else was first"),
        **UNREADABLE,
        503: UNAVAILABLE,
    },
)
SET_FLAGS = Described(
    openapi_extra={**body("FlagsBody", _FLAGS), "parameters": [IF_MATCH]},
    responses={
        200: answer("In force, on every gateway; or what would be", "FlagsChangeView", {"version": 7, "changes": [FLAG_CHANGE]}, ("ETag",)),
        409: problem("The safety class forbids a shadow, a gate is not passed, or somebody else was first"),
        428: problem("If-Match is missing"),
        **UNREADABLE,
        503: UNAVAILABLE,
    },
)
READ_FLAG_HISTORY = Described(
    responses={
        200: answer("Versions, newest first", "HistoryView", {"versions": [_VERSION], "next_cursor": 7}),
        422: UNREADABLE[422],
        503: UNAVAILABLE,
    }
)
READ_FLAG_VERSION = Described(
    responses={
        200: answer("The version", "VersionView"),
        404: problem("No such version is kept"),
        422: UNREADABLE[422],
        503: UNAVAILABLE,
    }
)
