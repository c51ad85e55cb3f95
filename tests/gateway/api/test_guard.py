"""Who is let in by what they show, and what they reach."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway.core.access import Permission
from gateway.settings import AccessMode
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.gateway_parts import TASK, MemoryGateway

GOOD = {"task": TASK, "args": [42, "ann@example.org"]}
OTHER = {"task": "cart.merge", "args": [1]}


@pytest.fixture
async def both() -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway() as both:
        yield both


async def test_a_token_is_good_until_it_is_revoked(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    created = await client.post("/v1/tokens", json={"name": "checkout", "permissions": ["submit"]}, headers=bearer(ADMIN_TOKEN))
    assert (created.status_code, created.headers["cache-control"]) == (201, "no-store")
    token, id_ = created.json()["token"], created.json()["id"]
    assert (await client.post("/v1/tasks", json=GOOD, headers=bearer(token))).status_code == 202
    assert (await client.delete(f"/v1/tokens/{id_}", headers=bearer(ADMIN_TOKEN))).status_code == 200
    refused = await client.post("/v1/tasks", json=GOOD, headers=bearer(token))
    assert (refused.status_code, refused.json()["code"], refused.headers["www-authenticate"]) == (
        401,
        "unauthenticated",
        'Bearer realm="dualrun"',
    )
    assert (await client.delete(f"/v1/tokens/{id_}", headers=bearer(ADMIN_TOKEN))).status_code == 404
    assert (await gateway.depths())["order"] == 1


async def test_a_token_is_nowhere_but_in_the_answer_that_created_it(
    both: tuple[MemoryGateway, httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    gateway, client = both
    caplog.set_level(logging.DEBUG)
    token = await token_for(gateway, Permission.ADMIN)
    said = [await client.get(path, headers=bearer(token)) for path in ("/v1/tokens", "/v1/flags", "/v1/nothing")]
    said.append(await client.get("/v1/flags", headers=bearer(f"{token}x")))
    secret = token.rpartition("_")[2]
    assert not any(secret in answer.text for answer in said)
    assert secret not in caplog.text
    assert secret not in repr(gateway.access.snapshot)
    assert ADMIN_TOKEN not in repr(gateway.services.settings)


async def test_a_token_for_some_tasks_submits_those_and_no_other(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    mine = bearer(await token_for(gateway, Permission.SUBMIT, tasks=["order.*"]))
    others = bearer(await token_for(gateway, Permission.SUBMIT, tasks=["cart.*"]))
    accepted = await client.post("/v1/tasks", json=GOOD, headers=mine)
    assert accepted.status_code == 202
    refused = await client.post("/v1/tasks", json=OTHER, headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (403, "task_out_of_reach")
    batch = await client.post("/v1/tasks/batch", json={"tasks": [GOOD, OTHER]}, headers=mine)
    assert [one.get("problem", {}).get("code") for one in batch.json()["results"]] == [None, "task_out_of_reach"]
    await gateway.comparator.start()
    place = f"/v1/tasks/{accepted.json()['id']}"
    assert (await client.get(f"{place}/result", headers=mine)).status_code == 202
    for method, path in (("GET", place), ("GET", f"{place}/result"), ("DELETE", place)):
        assert (await client.request(method, path, headers=others)).status_code == 403


async def test_a_token_for_some_tasks_moves_those_and_asks_nothing_of_all(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    mine = bearer(await token_for(gateway, Permission.OPERATE, tasks=["order.*"]))
    assert (await client.put(f"/v1/flags/{TASK}", json={"mode": "events"}, headers=mine)).status_code == 200
    assert (await client.put("/v1/flags/order.*", json={"mode": "events"}, headers=mine)).status_code == 200
    for method, path in (("PUT", "/v1/flags/*"), ("PUT", "/v1/flags/cart.merge"), ("GET", "/v1/flags"), ("POST", "/v1/flags/rollback")):
        answer = await client.request(method, path, json={"mode": "legacy"}, headers=mine)
        assert (answer.status_code, answer.json()["code"]) == (403, "task_out_of_reach"), path


async def test_a_change_is_its_callers_whoever_the_body_says_it_is(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    mine = bearer(await token_for(gateway, Permission.OPERATE, name="ann"))
    for said, kept in (("boss", "ann (boss)"), ("ann", "ann"), ("", "ann")):
        await client.put(f"/v1/flags/{TASK}", json={"mode": "events", "author": said, "reason": said}, headers=mine)
        assert gateway.flags.snapshot.author == kept


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Basic YWRtaW46YWRtaW4=", f"Token {ADMIN_TOKEN}", ADMIN_TOKEN, "Bearer \xff\xfe", "Bearer a b c"]
)
async def test_any_other_authorization_is_none(both: tuple[MemoryGateway, httpx.AsyncClient], value: str) -> None:
    answer = await both[1].get("/v1/flags", headers=[(b"Authorization", value.encode("latin-1"))])
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("mode", [AccessMode.OFF, AccessMode.REQUIRED])
async def test_another_site_cannot_have_a_browser_change_anything(headers: dict[str, str], mode: AccessMode) -> None:
    async with guarded_gateway(access=mode) as (gateway, client):
        # A POST without a body needs no leave of the browser (CORS): it is sent from any page.
        for path in ("/v1/flags/rollback", "/v1/tasks", "/v1/tasks/batch"):
            answer = await client.post(path, json=GOOD, headers={**headers, **bearer(ADMIN_TOKEN)})
            assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert await gateway.depths() == {}


@pytest.mark.parametrize(
    "base_url", ["http://192.0.2.7", "http://gateway.example.org", "http://127.0.0.1.nip.io", "http://[2001:db8::1]:8080"]
)
async def test_without_access_control_nobody_reaches_it_from_elsewhere(base_url: str) -> None:
    async with guarded_gateway(access=AccessMode.OFF) as (_, client):
        answer = await client.get(f"{base_url}/v1/flags")
        assert answer.status_code == 403
        assert "DUALRUN_ACCESS=required" in answer.json()["detail"]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080", "http://gateway"])
async def test_without_access_control_this_machine_is_answered(base_url: str) -> None:
    async with guarded_gateway(access=AccessMode.OFF) as (_, client):
        assert (await client.get(f"{base_url}/v1/flags")).status_code == 200


@pytest.mark.parametrize("path", ["/v1/flags", "/v1/nothing", "/healthz", "/v1/tasks", "/console/", "/console/static/console.css", "/docs"])
async def test_every_answer_carries_security_headers(path: str) -> None:
    async with guarded_gateway(access=AccessMode.OFF) as (_, client):
        answer = await (client.post(path, json=GOOD) if path == "/v1/tasks" else client.get(path))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in answer.headers["content-security-policy"]
