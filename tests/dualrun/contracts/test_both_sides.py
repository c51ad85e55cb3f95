"""What the two sides and the gateway really put on the wire is what the published schemas say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

import dualrun.contracts.schemas
from dualrun.contracts import Announcement, Event, Role, Side, encode_records, headers_of
from dualrun.contracts.submission import SubmissionRecord
from event_handlers import collect_handlers
from examples.shop.server import RunningShop
from examples.shop.traffic import Request, submissions
from gateway.dispatch.headers import work_headers
from legacy_celery import capture
from tests.support.event_side import event_side, work_of
from tests.support.outcomes import legacy_outcome
from tests.support.shop import legacy_app

FOLDER = Path(dualrun.contracts.schemas.__file__).parent
TRAFFIC = list(submissions(30, seed=7))
ADD = Request("learning.add", (2, 3))


def validate(name: str, body: bytes) -> None:
    schema = json.loads((FOLDER / f"{name}.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(json.loads(body))


async def test_the_outcomes_of_the_events_side_fit(sample_shop: RunningShop) -> None:
    async with event_side() as side:
        outcomes = [await side.outcome(request, Role.SHADOW) for request in TRAFFIC]
    assert {outcome.state for outcome in outcomes} >= {"succeeded"}
    for outcome in outcomes:
        validate("outcome", msgspec.json.encode(outcome))
    validate("records", encode_records(outcomes))


def test_the_outcomes_of_the_legacy_side_fit(sample_shop: RunningShop) -> None:
    outcomes = [legacy_outcome(sample_shop, request, Role.SHADOW) for request in TRAFFIC]
    for outcome in outcomes:
        validate("outcome", msgspec.json.encode(outcome))
    validate("records", encode_records(outcomes))


def test_the_gateways_records_and_headers_fit() -> None:
    work = work_of(ADD, Role.AUTHORITY)
    validate("submission-record", msgspec.json.encode(SubmissionRecord(submission=work.submission, decision=work.decision)))
    validate("work-headers", json.dumps(work_headers(work)).encode())
    event = Event(id="1", type=ADD.task, source="/dualrun", time=datetime.now(UTC), headers=work_headers(work))
    validate("event-headers", json.dumps(headers_of(event)).encode())


@pytest.mark.parametrize("side", Side)
def test_the_announcements_of_both_sides_fit(side: Side) -> None:
    if side is Side.LEGACY:
        announcement = capture.announcement_of(legacy_app(), "w", "shop")
    else:
        served = collect_handlers("event_handlers.handlers").served()
        announcement = Announcement(worker="w", side=side, service="shop", tasks=tuple(served))
    assert {task.task for task in announcement.tasks} >= {"learning.add", "order.send_order_confirmation"}
    validate("announcement", msgspec.json.encode(announcement))
