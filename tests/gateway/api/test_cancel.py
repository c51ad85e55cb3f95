"""`DELETE /v1/tasks/{id}`."""

from __future__ import annotations

import httpx
import pytest

from dualrun.contracts import Role
from gateway.outcomes.broker import BrokerRecordSink
from tests.gateway.api.test_routes import GOOD, SHADOW, outcome
from tests.support.gateway_parts import TASK, MemoryGateway

pytestmark = pytest.mark.usefixtures("comparing")


async def submitted(client: httpx.AsyncClient) -> str:
    return str((await client.post("/v1/tasks", json=GOOD)).json()["id"])


async def test_a_cancelled_task_answers_202_with_what_each_side_was_asked(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=SHADOW)
    id_ = await submitted(client)
    answer = await client.delete(f"/v1/tasks/{id_}")
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/tasks/{id_}")
    asked = {side["side"]: (side["role"], side["asked"]) for side in answer.json()["asked"]}
    assert asked == {"legacy": ("authority", True), "events": ("shadow", True)}
    assert "workers that are up" in answer.json()["asked"][0]["detail"]
    assert await gateway.inbox.cancelled([f"dualrun.events.shop:{id_}"]) == [True]


async def test_asking_again_does_no_harm(client: httpx.AsyncClient) -> None:
    id_ = await submitted(client)
    assert [(await client.delete(f"/v1/tasks/{id_}")).status_code for _ in range(2)] == [202, 202]


async def test_an_unknown_id_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/tasks/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_what_has_ended_cannot_be_cancelled(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    id_ = await submitted(client)
    sink = BrokerRecordSink(gateway.broker)
    await sink.append([outcome(id_, Role.AUTHORITY, 1)])
    await sink.close()
    await client.get(f"/v1/tasks/{id_}/result", params={"wait_s": 5})
    answer = await client.delete(f"/v1/tasks/{id_}")
    assert (answer.status_code, answer.json()["code"]) == (409, "already_ended")
    assert "succeeded" in answer.json()["detail"]
