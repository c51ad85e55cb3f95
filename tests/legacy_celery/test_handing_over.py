"""Which messages a Celery worker gives back, and what it does when it cannot."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dualrun.broker import Message
from dualrun.contracts import Side
from dualrun.contracts.topology import HEADER_FLAG_VERSION, HEADER_RECALLED_BY, HEADER_ROLE, HEADER_SUBMISSION_ID
from dualrun.in_force import FlagsInForce
from legacy_celery.handing_over import HandingOver

SUBMISSION = {"task": "t", "id": "s", HEADER_SUBMISSION_ID: "s", HEADER_FLAG_VERSION: "4", HEADER_ROLE: "authority", "retries": 0}


def handing_over(given: list[Message]) -> HandingOver:
    in_force = FlagsInForce(Side.LEGACY)
    in_force.adopt(b'{"version": 5, "recalls": {"legacy": {"t": 5}, "events": {"u": 5}}}')
    return HandingOver(in_force, given.append)


def message(headers: dict[str, object]) -> SimpleNamespace:
    properties = {"correlation_id": "s", "priority": 3}
    return SimpleNamespace(body=b"[]", headers=headers, content_type="application/json", content_encoding="utf-8", properties=properties)


def test_what_a_flag_recalls_is_given_back_as_it_came() -> None:
    given: list[Message] = []
    assert handing_over(given).take(SUBMISSION, message(SUBMISSION), redelivered=False)
    (returned,) = given
    assert (returned.body, returned.priority, returned.correlation_id) == (b"[]", 3, "s")
    assert returned.headers == {**SUBMISSION, HEADER_RECALLED_BY: "5"}


@pytest.mark.parametrize(
    ("changes", "redelivered"),
    [
        ({HEADER_FLAG_VERSION: "5"}, False),
        ({"retries": 1}, False),
        ({HEADER_ROLE: "shadow"}, False),
        ({"task": "u"}, False),
        ({HEADER_SUBMISSION_ID: None}, False),
        ({}, True),
    ],
)
def test_what_may_have_started_or_is_no_authoritys_stays(changes: dict[str, object], redelivered: bool) -> None:
    given: list[Message] = []
    headers = {**SUBMISSION, **changes}
    assert not handing_over(given).take(headers, message(headers), redelivered=redelivered)
    assert given == []


def test_what_cannot_be_given_back_runs_where_it_is() -> None:
    def refuse(_: Message) -> None:
        raise OSError("no broker")

    in_force = FlagsInForce(Side.LEGACY)
    in_force.adopt(b'{"version": 5, "recalls": {"legacy": {"t": 5}}}')
    assert not HandingOver(in_force, refuse).take(SUBMISSION, message(SUBMISSION), redelivered=False)


def test_what_was_given_back_is_counted_by_the_version_that_recalled_it() -> None:
    in_force = FlagsInForce(Side.LEGACY)
    hands = HandingOver(in_force, lambda _: None)
    assert hands.undecided == 0
    in_force.adopt(b'{"version": 5, "recalls": {"legacy": {"t": 5}}}')
    # Not before the consumer's own thread has looked at what it has in hand.
    assert hands.undecided == 1
    hands.look_again()
    hands.take(SUBMISSION, message(SUBMISSION), redelivered=False)
    assert (dict(hands.given_back), hands.undecided) == ({5: 1}, 0)
