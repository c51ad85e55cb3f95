"""What the document says of the routes that tell what was found out: reports, differences, and notices as they come."""

from __future__ import annotations

from gateway.api.openapi.described import LEDGER_AWAY, REF, UNREADABLE, Described, answer, body, problem

__all__ = ["READ_DIFFERENCE", "READ_DIFFERENCES", "READ_EVENTS", "READ_REPORT", "TRIAGE_DIFFERENCE"]

_NO_DIFFERENCE = problem("No such difference group")
_REPORT_KINDS = ("application/json", "text/markdown", "text/html", "text/csv", "application/xml")
READ_REPORT = Described(
    responses={
        200: {"description": "The report", "content": {kind: {} for kind in _REPORT_KINDS}},
        422: UNREADABLE[422],
    }
)
READ_DIFFERENCES = Described(responses={200: answer("The groups", "DifferencesView"), 422: UNREADABLE[422], 503: LEDGER_AWAY})
READ_DIFFERENCE = Described(
    responses={200: answer("The group", "DifferenceView"), 404: _NO_DIFFERENCE, 422: UNREADABLE[422], 503: LEDGER_AWAY}
)
TRIAGE_DIFFERENCE = Described(
    openapi_extra=body("TriageBody", {"triage": "known", "author": "ann", "note": "SHOP-123"}),
    responses={200: answer("The group as it now stands", "DifferenceView"), 404: _NO_DIFFERENCE, **UNREADABLE, 503: LEDGER_AWAY},
)
READ_EVENTS = Described(
    responses={
        200: {
            "description": "`id:` where to go on, `event:` the type, `data:` a notice",
            "content": {"text/event-stream": {"schema": {"$ref": REF.format(name="Notice")}}},
        },
        422: UNREADABLE[422],
        503: problem("Redis is out of reach", ("Retry-After",)),
    },
)
