"""`/v1/flags/{task}/rollback` and `/v1/flags/rollback`."""

from __future__ import annotations

import httpx
import pytest

from tests.support.gateway_parts import TASK, MemoryGateway

EVENTS = {"mode": "events"}
TASK_TOO = {"task": TASK, "args": [42, "ann@example.org"]}


async def test_a_rollback_without_a_body_sends_the_next_submission_to_legacy(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=EVENTS)
    assert (await client.post("/v1/tasks", json=TASK_TOO)).json()["decision"]["authority"] == "events"
    answer = await client.post(f"/v1/flags/{TASK}/rollback")
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    said = answer.json()
    assert (said.pop("in_flight")["redirected"], said.pop("stored")) == (0, True)
    assert said == {
        "version": 2,
        "changed": True,
        "changes": [{"task": TASK, "kind": "changed", "members": [{"member": "mode", "before": "events", "after": "legacy"}]}],
    }
    decision = (await client.post("/v1/tasks", json=TASK_TOO)).json()["decision"]
    assert (decision["authority"], decision["flag_version"]) == ("legacy", 2)


async def test_a_repeated_rollback_says_that_nothing_changed(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=EVENTS)
    for path in (f"/v1/flags/{TASK}/rollback", f"/v1/flags/{TASK}/rollback", "/v1/flags/rollback"):
        answer = await client.post(path)
        assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert (answer.json()["changed"], answer.json()["changes"]) == (False, [])


async def test_author_and_reason_are_in_the_history(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json=EVENTS)
    await client.post(f"/v1/flags/{TASK}/rollback", json={"author": "ann", "reason": "mails twice", "source": "cli"})
    newest = (await client.get("/v1/flags/history")).json()["versions"][0]
    assert (newest["author"], newest["reason"], newest["source"]) == ("ann", "mails twice", "cli")


async def test_one_task_or_everything_goes_to_a_version(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    gateway.serve("cart.merge")
    for percent in (1, 2, 3):
        for task in (TASK, "cart.merge"):
            await client.put(f"/v1/flags/{task}", json={"mode": "canary", "events_percent": percent})
    await client.post(f"/v1/flags/{TASK}/rollback", json={"to_version": 2})
    flags = (await client.get("/v1/flags")).json()["flags"]
    assert {task: flag["events_percent"] for task, flag in flags.items()} == {TASK: 1.0, "cart.merge": 3.0}
    await client.post("/v1/flags/rollback", json={"to_version": 4})
    flags = (await client.get("/v1/flags")).json()["flags"]
    assert {task: flag["events_percent"] for task, flag in flags.items()} == {TASK: 2.0, "cart.merge": 2.0}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v1/flags/nobody/rollback", {}, 404, "not_found"),
        (f"/v1/flags/{TASK}/rollback", {"to_version": 9}, 404, "not_found"),
        ("/v1/flags/rollback", {"to_version": 9}, 404, "not_found"),
        ("/v1/flags/rollback", {"to_version": 0}, 422, "invalid_body"),
        ("/v1/flags/rollback", {"version": 1}, 422, "invalid_body"),
        ("/v1/flags/a%20b/rollback", {}, 422, "invalid_parameter"),
    ],
)
async def test_what_cannot_be_rolled_back_is_a_problem_and_changes_nothing(
    client: httpx.AsyncClient, path: str, body: dict[str, object], status: int, code: str
) -> None:
    await client.put(f"/v1/flags/{TASK}", json=EVENTS)
    answer = await client.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/v1/flags")).json()["version"] == 1
