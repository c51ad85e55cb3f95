"""What the document says of the routes that tell who may do what, and who did: tokens and the audit trail."""

from __future__ import annotations

from gateway.api.openapi.described import LEDGER_AWAY, UNREADABLE, Described, answer, body, problem

__all__ = ["CREATE_TOKEN", "READ_AUDIT", "READ_TOKENS", "REVOKE_TOKEN"]

_TOKENS_AWAY = problem("Redis is out of reach: nothing has changed", ("Retry-After",))
_TOKEN = {
    "id": "9f2c41d07a3e",
    "name": "checkout service",
    "permissions": ["submit"],
    "tasks": ["order.*"],
    "created_at": "2026-11-21T09:00:00Z",
    "created_by": "environment",
    "expires_at": None,
    "rate_per_s": None,
}
READ_AUDIT = Described(responses={200: answer("Entries, newest first", "AuditView"), 422: UNREADABLE[422], 503: LEDGER_AWAY})
READ_TOKENS = Described(responses={200: answer("Without their secrets", "TokensView", {"tokens": [_TOKEN]}), 503: _TOKENS_AWAY})
CREATE_TOKEN = Described(
    openapi_extra=body("TokenBody", {"name": "checkout service", "permissions": ["submit"], "tasks": ["order.*"]}),
    responses={201: answer("The token: it is shown this once", "TokenCreatedView"), **UNREADABLE, 503: _TOKENS_AWAY},
)
REVOKE_TOKEN = Described(
    responses={200: answer("It is refused from now on", "TokenView", _TOKEN), 404: problem("No such token"), 503: _TOKENS_AWAY}
)
