"""`GET /v1/events`: what happens to flags, as it happens and after a break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import pytest

from gateway.api import event_stream_route
from gateway.core.gate import GateAction, GateVerdict
from tests.support.access import ADMIN_TOKEN, bearer
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


@pytest.mark.parametrize("quiet", [True, False], ids=["while nothing happens", "before the next event"])
def test_a_stream_ends_with_the_token_it_was_opened_with(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if quiet:
        monkeypatch.setattr(event_stream_route, "_PING_S", 0.1)
    with (
        running_gateway(access="required", admin_token=ADMIN_TOKEN) as gateway,
        httpx.Client(base_url=gateway.url, headers=bearer(ADMIN_TOKEN)) as administrator,
    ):
        created = administrator.post("/v1/tokens", json={"name": "ann", "permissions": ["view"]}).raise_for_status().json()
        with httpx.stream("GET", f"{gateway.url}/v1/events", headers=bearer(created["token"]), timeout=20) as answer:
            lines = answer.iter_lines()
            assert "connected" in next(lines)
            administrator.delete(f"/v1/tokens/{created['id']}").raise_for_status()
            if not quiet:
                administrator.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 5}).raise_for_status()
            assert not any(line.startswith("data:") for line in lines)  # and it ends


def test_only_the_types_asked_for_are_sent(gateway: GatewayServer) -> None:
    with httpx.stream("GET", f"{gateway.url}/v1/events?after=0-0&type=gate.verdict", timeout=20) as answer:
        change(gateway, 1)
        gateway.judge(VERDICT)
        event = next(events_of(answer))
    assert (event.event, event.data["id"]) == ("gate.verdict", "gate-verdict-v1")


def test_a_position_that_is_none_is_refused(gateway: GatewayServer) -> None:
    answer = httpx.get(f"{gateway.url}/v1/events", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/headers/Last-Event-ID")
