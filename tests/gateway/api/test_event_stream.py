"""`GET /v1/events`: what happens to flags, as it happens and after a break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from gateway.core.gate import GateAction, GateVerdict
from tests.support.gateway_parts import TASK
from tests.support.gateway_server import GatewayServer, running_gateway

VERDICT = GateVerdict(
    id="v1", task=TASK, action=GateAction.HOLD, reason="too few", step="canary 1 %", flag_version=1, decided_at=datetime.now(UTC)
)


@pytest.fixture
def gateway() -> Iterator[GatewayServer]:
    with running_gateway() as server:
        yield server


@dataclass(frozen=True, slots=True)
class Event:
    id: str
    event: str
    data: dict[str, object]


def change(gateway: GatewayServer, percent: float) -> None:
    body = {"mode": "canary", "events_percent": percent, "author": "ann", "reason": "monday"}
    httpx.put(f"{gateway.url}/v1/flags/{TASK}", json=body).raise_for_status()


def events_of(answer: httpx.Response) -> Iterator[Event]:
    """Blocks of `name: value` lines; those without data only tell the position."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def test_a_version_is_told_to_who_listens_with_author_reason_and_changes(gateway: GatewayServer) -> None:
    with httpx.stream("GET", f"{gateway.url}/v1/events", timeout=20) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        change(gateway, 5)
        event = next(events_of(answer))
    assert (event.event, event.data["id"]) == ("flag.version", "flag-version-1")
    data = event.data["data"]
    assert isinstance(data, dict)
    assert (data["version"], data["author"], data["reason"], data["source"]) == (1, "ann", "monday", "api")
    assert data["changes"][0]["task"] == TASK


@pytest.mark.parametrize("by", ["Last-Event-ID", "after"])
def test_who_comes_back_gets_what_was_missed_and_nothing_twice(gateway: GatewayServer, by: str) -> None:
    with httpx.stream("GET", f"{gateway.url}/v1/events?after=0-0", timeout=20) as answer:
        change(gateway, 1)
        seen = next(events_of(answer))
    change(gateway, 2)
    change(gateway, 3)
    asked = {"headers": {by: seen.id}} if by == "Last-Event-ID" else {"params": {by: seen.id}}
    with httpx.stream("GET", f"{gateway.url}/v1/events", timeout=20, **asked) as answer:  # type: ignore[arg-type]
        events = events_of(answer)
        missed = [next(events) for _ in range(2)]
    assert [event.data["id"] for event in missed] == ["flag-version-2", "flag-version-3"]


def test_only_the_types_asked_for_are_sent(gateway: GatewayServer) -> None:
    with httpx.stream("GET", f"{gateway.url}/v1/events?after=0-0&type=gate.verdict", timeout=20) as answer:
        change(gateway, 1)
        gateway.judge(VERDICT)
        event = next(events_of(answer))
    assert (event.event, event.data["id"]) == ("gate.verdict", "gate-verdict-v1")


def test_a_position_that_is_none_is_refused(gateway: GatewayServer) -> None:
    answer = httpx.get(f"{gateway.url}/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/headers/Last-Event-ID")
