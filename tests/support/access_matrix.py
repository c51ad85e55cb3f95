"""Every route, and whom it lets in: written down once more, beside the application's own table."""

from __future__ import annotations

from gateway.core.access import Permission

__all__ = ["MATRIX"]

SUBMIT, VIEW, OPERATE, ADMIN = Permission
ANYBODY = frozenset({None, *Permission})
READERS = frozenset({VIEW, OPERATE, ADMIN})
OPERATORS = frozenset({OPERATE, ADMIN})
SUBMITTERS = frozenset({SUBMIT, ADMIN})
ALL_BUT_NOBODY = frozenset(Permission)
ADMINS = frozenset({ADMIN})

# Method, path as it is asked, and who is let in; None is a caller without a token.
MATRIX: dict[str, frozenset[Permission | None]] = {
    "POST /v1/tasks": SUBMITTERS,
    "POST /v1/tasks/batch": SUBMITTERS,
    "GET /v1/tasks/{submission_id}": ALL_BUT_NOBODY,
    "GET /v1/tasks/{submission_id}/result": ALL_BUT_NOBODY,
    "POST /v1/tasks/{submission_id}/replay": SUBMITTERS,
    "DELETE /v1/tasks/{submission_id}": frozenset({SUBMIT, OPERATE, ADMIN}),
    "GET /v1/flags": READERS,
    "PUT /v1/flags": OPERATORS,
    "GET /v1/flags/history": READERS,
    "GET /v1/flags/history/{version}": READERS,
    "POST /v1/flags/rollback": OPERATORS,
    "GET /v1/flags/{task}": READERS,
    "PUT /v1/flags/{task}": OPERATORS,
    "POST /v1/flags/{task}/rollback": OPERATORS,
    "GET /v1/flags/{task}/gate": READERS,
    "GET /v1/flags/{task}/in-flight": READERS,
    "POST /v1/flags/{task}/promote": OPERATORS,
    "POST /v1/flags/{task}/hold": OPERATORS,
    "GET /v1/breakers": READERS,
    "GET /v1/queues": READERS,
    "GET /v1/dead-letters": READERS,
    "GET /v1/dead-letters/{queue}/{id}": READERS,
    "POST /v1/dead-letters/{queue}/{id}/replay": OPERATORS,
    "POST /v1/dead-letters/{queue}/{id}/discard": OPERATORS,
    "GET /v1/differences": READERS,
    "GET /v1/differences/{fingerprint}": READERS,
    "PUT /v1/differences/{fingerprint}": OPERATORS,
    "GET /v1/doctor": READERS,
    "GET /v1/doctor/{task}": READERS,
    "GET /v1/reports/shadow": READERS,
    "GET /v1/reports/shadow/{task}": READERS,
    "GET /v1/events": READERS,
    "GET /v1/catalogue": READERS,
    "GET /v1/audit": OPERATORS,
    "GET /v1/tokens": ADMINS,
    "POST /v1/tokens": ADMINS,
    "DELETE /v1/tokens/{id}": ADMINS,
    "GET /healthz": ANYBODY,
    "GET /readyz": ANYBODY,
    "GET /metrics": ANYBODY,
    "GET /openapi.json": ANYBODY,
    "GET /docs": ANYBODY,
    "GET /": ANYBODY,
    "GET /console/static/{path:path}": ANYBODY,
    "GET /console/": READERS,
    "GET /console/login": ANYBODY,
    "POST /console/login": ANYBODY,
    "POST /console/logout": ANYBODY,
    "GET /console/login/oidc": ANYBODY,
    "GET /console/login/oidc/callback": ANYBODY,
    "GET /console/tasks/{task:path}": READERS,
    "POST /console/tasks/{task:path}/rollback": OPERATORS,
    "POST /console/tasks/{task:path}/promote": OPERATORS,
    "POST /console/tasks/{task:path}/hold": OPERATORS,
    "GET /console/tasks/{task:path}/activity": READERS,
    "GET /console/tasks/{task:path}/submit": READERS,
    "POST /console/tasks/{task:path}/submit": SUBMITTERS,
    "GET /console/differences/{fingerprint}": READERS,
    "POST /console/differences/{fingerprint}": OPERATORS,
    "POST /console/differences/{fingerprint}/rule": OPERATORS,
    "GET /console/submissions": READERS,
    "GET /console/submissions/{id}": READERS,
    "POST /console/submissions/{id}/again": SUBMITTERS,
    "GET /console/flags": READERS,
    "POST /console/flags/rollback": OPERATORS,
    "GET /console/flags/{version:int}": READERS,
    "GET /console/breakers": READERS,
    "GET /console/audit": OPERATORS,
    "GET /console/workers": READERS,
    "GET /console/dead-letters": READERS,
    "POST /console/dead-letters/replay": OPERATORS,
    "POST /console/dead-letters/discard": OPERATORS,
    "GET /console/dead-letters/{queue}/{id}": READERS,
    "POST /console/dead-letters/{queue}/{id}/replay": OPERATORS,
    "POST /console/dead-letters/{queue}/{id}/discard": OPERATORS,
}
