"""`/v1/flags/history` and setting all flags at once."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.gateway_parts import TASK, MemoryGateway

SHADOW = {"mode": "shadow", "shadow_percent": 100, "safety": "sandboxed"}
BY_ANN = {"author": "ann", "reason": "first look"}


async def _history(client: httpx.AsyncClient, **query: int) -> Any:
    answer = await client.get("/v1/flags/history", params=query)
    assert answer.status_code == 200
    return answer.json()


async def test_every_change_is_a_version_with_author_reason_source_and_what_changed(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json={**SHADOW, **BY_ANN})
    await client.put(f"/v1/flags/{TASK}", json={**SHADOW, "shadow_percent": 5, "source": "cli"})
    await client.put("/v1/flags", json={"flags": {}}, headers={"If-Match": '"2"'})
    newest, middle, first = (await _history(client))["versions"]
    assert (first["version"], first["author"], first["reason"], first["source"]) == (1, "ann", "first look", "api")
    assert [(first["compared_with"], c["task"], c["kind"]) for c in first["changes"]] == [(0, TASK, "added")]
    assert middle["source"] == "cli"
    assert middle["changes"] == [
        {"task": TASK, "kind": "changed", "members": [{"member": "shadow_percent", "before": 100.0, "after": 5.0}]}
    ]
    assert [(newest["version"], c["task"], c["kind"]) for c in newest["changes"]] == [(3, TASK, "removed")]


async def test_pages_join_without_a_gap_and_each_version_is_told_from_the_one_before(client: httpx.AsyncClient) -> None:
    for percent in range(1, 6):
        await client.put(f"/v1/flags/{TASK}", json={**SHADOW, "shadow_percent": percent})
    page = await _history(client, limit=2)
    seen = page["versions"]
    while page["next_cursor"] is not None:
        page = await _history(client, limit=2, cursor=page["next_cursor"])
        seen += page["versions"]
    assert [(entry["version"], entry["compared_with"]) for entry in seen] == [(5, 4), (4, 3), (3, 2), (2, 1), (1, 0)]


async def test_a_version_has_all_its_flags_and_is_compared_with_any_other(client: httpx.AsyncClient) -> None:
    for percent in (1, 2, 3):
        await client.put(f"/v1/flags/{TASK}", json={**SHADOW, "shadow_percent": percent})
    version = (await client.get("/v1/flags/history/1")).json()
    assert (version["flags"][TASK]["shadow_percent"], version["flags"][TASK]["version"]) == (1.0, 1)
    against = (await client.get("/v1/flags/history/3", params={"against": 1})).json()
    assert [(m["before"], m["after"]) for c in against["changes"] for m in c["members"]] == [(1.0, 3.0)]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/flags/history/7", 404, "not_found"),
        ("/v1/flags/history/0", 422, "invalid_parameter"),
        ("/v1/flags/history/x", 422, "invalid_parameter"),
        ("/v1/flags/history?limit=0", 422, "invalid_parameter"),
        ("/v1/flags/history?cursor=99999999999999999999", 422, "invalid_parameter"),
    ],
)
async def test_what_is_no_version_is_a_problem(client: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_setting_all_flags_leaves_no_others_and_says_what_changed(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    gateway.serve("cart.merge")
    await client.put("/v1/flags/cart.merge", json={"mode": "events"})
    answer = await client.put("/v1/flags", json={"flags": {TASK: SHADOW}, **BY_ANN}, headers={"If-Match": '"1"'})
    assert (answer.status_code, answer.headers["ETag"], answer.json()["version"]) == (200, '"2"', 2)
    assert [(change["task"], change["kind"]) for change in answer.json()["changes"]] == [("cart.merge", "removed"), (TASK, "added")]
    assert set((await client.get("/v1/flags")).json()["flags"]) == {TASK}


async def test_a_dry_run_says_what_would_change_and_changes_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/flags", params={"dry_run": True}, json={"flags": {TASK: SHADOW}})
    assert (answer.status_code, answer.json()["version"], len(answer.json()["changes"])) == (200, 0, 1)
    assert answer.json()["refused"] is None
    assert (await _history(client))["versions"] == []


async def test_setting_all_flags_asks_for_the_version_they_were_read_at(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/flags", json={"flags": {}})
    assert (answer.status_code, answer.json()["code"]) == (428, "if_match_required")
    answer = await client.put("/v1/flags", json={"flags": {}}, headers={"If-Match": '"3"'})
    assert (answer.status_code, answer.json()["code"], answer.json()["current_version"]) == (409, "flag_conflict", 0)
    assert answer.headers["ETag"] == '"0"'


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("flag", "code", "pointer"),
    [
        ({"mode": "shadow", "shadow_percent": 1}, "unsafe_shadow", f"/flags/{TASK}/safety"),
        ({"mode": "canary", "events_percent": 0.0001}, "invalid_flag", f"/flags/{TASK}/events_percent"),
        ({"mode": "legacy", "hash_version": 9}, "invalid_flag", f"/flags/{TASK}/hash_version"),
    ],
)
async def test_one_wrong_flag_of_all_is_named_and_nothing_is_set(
    client: httpx.AsyncClient, flag: dict[str, object], code: str, pointer: str, dry_run: bool
) -> None:
    flags = {"flags": {"cart.merge": {"mode": "events"}, TASK: flag}}
    answer = await client.put("/v1/flags", params={"dry_run": dry_run}, json=flags, headers={"If-Match": "*"})
    assert (answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (code, pointer)
    assert (await client.get("/v1/flags")).json()["version"] == 0


@pytest.mark.parametrize("name", ["history", "rollback"])
async def test_a_task_named_like_a_path_of_the_api_gets_its_flag_by_a_glob(
    gateway: MemoryGateway, client: httpx.AsyncClient, name: str
) -> None:
    gateway.serve(name)
    refused = await client.put(f"/v1/flags/{name}", json={"mode": "events"})
    glob = f"[{name[0]}]{name[1:]}"
    assert (refused.status_code, refused.json()["code"], refused.json()["errors"][0]["pointer"]) == (422, "invalid_flag", "/task")
    assert glob in refused.json()["detail"]
    assert (await client.put(f"/v1/flags/{glob}", json={"mode": "events"})).status_code == 200
    assert (await client.get(f"/v1/flags/{glob}")).json()["mode"] == "events"
    assert (await client.post(f"/v1/flags/{glob}/rollback")).json()["changed"]
