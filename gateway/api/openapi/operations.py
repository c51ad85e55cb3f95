"""What the document says of the routes for those who keep it running: dead letters, queues, breakers, the doctor."""

from __future__ import annotations

from gateway.api.openapi.described import LEDGER_AWAY, UNREADABLE, Described, answer, body, problem

__all__ = [
    "DISCARD_DEAD_LETTER",
    "READ_BREAKERS",
    "READ_DEAD_LETTER",
    "READ_DEAD_LETTERS",
    "READ_DOCTOR",
    "READ_INSTALLATION",
    "READ_QUEUES",
    "REPLAY_DEAD_LETTER",
]

_NO_DEAD_LETTER = problem("No such dead letter")
_DEAD_LETTERS_AWAY = problem("The broker is out of reach: nothing is known to have changed", ("Retry-After",))
_BREAKER = {
    "service": "shop",
    "name": "payment.process",
    "state": "open",
    "failures": 5,
    "failures_max": 5,
    "open_s": 12.5,
    "opened_at": "2026-11-21T09:00:00Z",
    "used_at": "2026-11-21T09:00:17Z",
}
READ_DEAD_LETTERS = Described(
    responses={
        200: answer("What the service could not deal with", "DeadLettersView"),
        404: problem("No such service"),
        422: UNREADABLE[422],
        503: _DEAD_LETTERS_AWAY,
    }
)
READ_DEAD_LETTER = Described(
    responses={200: answer("All of it", "DeadLetter"), 404: _NO_DEAD_LETTER, 422: UNREADABLE[422], 503: _DEAD_LETTERS_AWAY}
)
REPLAY_DEAD_LETTER = Described(
    responses={
        200: answer("It is in its queue again", "DeadLetter"),
        404: _NO_DEAD_LETTER,
        422: UNREADABLE[422],
        503: _DEAD_LETTERS_AWAY,
    }
)
DISCARD_DEAD_LETTER = Described(
    openapi_extra=body("DiscardBody", {"reason": "a test order", "author": "ann"}),
    responses={200: answer("It is gone", "DeadLetter"), 404: _NO_DEAD_LETTER, **UNREADABLE, 503: _DEAD_LETTERS_AWAY},
)
READ_BREAKERS = Described(
    responses={
        200: answer("How they stand", "BreakersView", {"breakers": [_BREAKER]}),
        422: UNREADABLE[422],
        503: problem("Redis is out of reach: how they stand is not known", ("Retry-After",)),
    }
)
READ_QUEUES = Described(
    responses={
        200: answer("What waits, and who takes it", "QueuesView"),
        503: problem("A broker is out of reach", ("Retry-After",)),
    }
)
READ_INSTALLATION = Described(responses={200: answer("What was looked at, and what to do", "Installation")})
READ_DOCTOR = Described(
    responses={
        200: answer("What was observed, and what it means", "Readiness"),
        404: problem("Nobody serves it, and it was never submitted"),
        503: LEDGER_AWAY,
    }
)
