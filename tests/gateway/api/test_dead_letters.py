"""`/v1/dead-letters`."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from dualrun.broker import Message, Queue, Topology
from dualrun.contracts.topology import HEADER_DEAD_REASON, dead_letter_queue
from tests.support.gateway_parts import EVENTS_QUEUE, MemoryGateway, memory_gateway

DEAD = dead_letter_queue(EVENTS_QUEUE)
ONE = f"/v1/dead-letters/{EVENTS_QUEUE}/m-1"


@pytest.fixture
async def gateway() -> AsyncIterator[MemoryGateway]:
    async with memory_gateway() as running:
        await running.broker.declare(Topology(queues=(Queue(name=DEAD),)))
        await running.broker.publish("", DEAD, Message(body=b"{}", headers={HEADER_DEAD_REASON: "unreadable"}, message_id="m-1"))
        yield running


async def test_those_of_a_service_are_listed_and_one_is_shown_in_full(client: httpx.AsyncClient) -> None:
    (line,) = (await client.get("/v1/dead-letters", params={"service": "shop"})).json()["dead_letters"]
    assert (line["id"], line["queue"], line["reason"]) == ("m-1", EVENTS_QUEUE, "unreadable")
    shown = (await client.get(ONE)).json()
    assert (shown["body"], shown["headers"]) == ("{}", {HEADER_DEAD_REASON: "unreadable"})


async def test_a_replayed_one_is_in_its_queue_and_no_dead_letter_any_more(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    assert (await client.post(f"{ONE}/replay")).status_code == 200
    assert await gateway.depths() == {EVENTS_QUEUE: 1}
    assert (await client.get(ONE)).status_code == 404


async def test_one_is_discarded_for_a_reason_that_is_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    assert (await client.post(f"{ONE}/discard", json={})).json()["code"] == "invalid_body"
    with caplog.at_level(logging.WARNING):
        assert (await client.post(f"{ONE}/discard", json={"reason": "a test order", "author": "ann"})).status_code == 200
    (record,) = [record for record in caplog.records if record.message == "dead_letter_discarded"]
    assert (record.__dict__["reason"], record.__dict__["author"]) == ("a test order", "ann")
    assert (await client.post(f"{ONE}/discard", json={"reason": "again"})).json()["code"] == "not_found"


async def test_a_service_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/dead-letters", params={"service": "nobody"})).json()["code"] == "not_found"
    assert (await client.get("/v1/dead-letters", params={"service": "no such name"})).status_code == 422
