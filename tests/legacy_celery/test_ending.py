"""Celery's words for how a task ended, in ours."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from celery import states
from celery.exceptions import Ignore, Reject, Retry
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.contracts import Role, State
from legacy_celery.ending import ending_of, failure_of, outcome_of, plain_value
from legacy_celery.ticket import Ticket, ticket_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class OutOfStock(Exception):
    pass


@pytest.mark.parametrize(
    ("celery_state", "retval", "state"),
    [
        (states.SUCCESS, 1, State.SUCCEEDED),
        (states.FAILURE, OutOfStock("x"), State.FAILED),
        (states.IGNORED, Ignore(), State.IGNORED),
        (states.REJECTED, Reject("bad", requeue=False), State.REJECTED),
        (states.REJECTED, Reject("later", requeue=True), None),
        (states.RETRY, Retry(), None),
        (None, None, None),
    ],
)
def test_each_ending_has_a_state(celery_state: str | None, retval: object, state: State | None) -> None:
    ending = ending_of(celery_state, retval)
    assert (ending and ending.state) == state


def test_typed_values_stay_as_celery_writes_them() -> None:
    identity = uuid.UUID(int=1)
    assert plain_value({"a": Decimal("1.5"), "b": [identity], "c": (1, 2)}) == {
        "a": {"__type__": "decimal", "__value__": "1.5"},
        "b": [{"__type__": "uuid", "__value__": {"hex": identity.hex}}],
        "c": [1, 2],
    }
    assert plain_value(object) == {"__type__": "repr", "__value__": "<class 'object'>"}


def test_a_failure_is_bounded() -> None:
    failure = failure_of(OutOfStock("x" * 100_000), "t" * 100_000)
    assert failure.kind == "OutOfStock"
    assert len(failure.message) <= 1_000
    assert len(failure.traceback or "") <= 16_000


_HEADERS = (
    "dualrun-submission-id",
    "dualrun-role",
    "dualrun-flag-version",
    "dualrun-submitted-at",
    "traceparent",
    "retries",
    "eta",
    "task",
)
_ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, "", "s", "3", "-1", "x" * 8, "2026-01-01", "\ud800", 0, -5, 5, b"s", b"\xff", [], [1, 2], {}, 1.5]
)


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_HEADERS, _ODD)))
def test_no_header_can_break_the_worker(headers: dict[str, object]) -> None:
    ticket = ticket_of(headers)
    assert (ticket is None) is not (isinstance(headers.get("dualrun-submission-id"), str) and bool(headers["dualrun-submission-id"]))


def test_waiting_is_counted_from_the_eta_and_never_negative() -> None:
    headers = {"dualrun-submission-id": "s", "task": "t", "dualrun-submitted-at": NOW.isoformat()}
    ending = ending_of(states.SUCCESS, 1)
    assert ending is not None

    def queued_ms(**more: object) -> float | None:
        ticket = ticket_of({**headers, **more})
        assert ticket is not None
        return outcome_of(ticket, ending, ended_at=NOW + timedelta(seconds=10), elapsed_ms=1_000).queued_ms

    assert queued_ms() == 9_000
    assert queued_ms(eta=(NOW + timedelta(seconds=4)).isoformat()) == 5_000
    assert queued_ms(eta=(NOW + timedelta(hours=1)).isoformat()) == 0
    assert queued_ms(retries=1) is None


def test_anything_but_shadow_is_the_authority() -> None:
    def role_of(role: object) -> Role:
        ticket = ticket_of({"dualrun-submission-id": "s", "dualrun-role": role})
        assert isinstance(ticket, Ticket)
        return ticket.role

    assert [role_of(role) for role in ("shadow", "authority", None, "?")] == [Role.SHADOW, *[Role.AUTHORITY] * 3]
