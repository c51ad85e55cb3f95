"""`POST /v1/tasks/{id}/replay`."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.api.test_routes import GOOD

pytestmark = pytest.mark.usefixtures("comparing")


async def test_the_same_arguments_are_submitted_as_a_new_submission(client: httpx.AsyncClient) -> None:
    earlier = (await client.post("/v1/tasks", json=GOOD)).json()["id"]
    answer = await client.post(f"/v1/tasks/{earlier}/replay")
    new = answer.json()["id"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/tasks/{new}")
    assert new != earlier
    asked = [(await client.get(f"/v1/tasks/{id_}")).json()["submission"] for id_ in (earlier, new)]
    assert asked[0]["args"] == asked[1]["args"]
    assert asked[0]["task"] == asked[1]["task"]


async def test_a_repeated_key_submits_once(client: httpx.AsyncClient) -> None:
    earlier = (await client.post("/v1/tasks", json=GOOD)).json()["id"]
    path, key = f"/v1/tasks/{earlier}/replay", {"Idempotency-Key": "again-1"}
    first, second = [await client.post(path, headers=key) for _ in range(2)]
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["Idempotency-Replayed"] == "true"


async def test_an_unknown_submission_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tasks/nobody/replay")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
