"""Who changed what, from where, what came of it and why, through the API and the console."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from gateway.api.route_access import ACCESS
from gateway.core.access import Permission
from gateway.core.errors import StoreUnavailable
from gateway.settings import AccessMode
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.eventually import becomes
from tests.support.gateway_parts import TASK, MemoryGateway

HERE = {"Sec-Fetch-Site": "same-origin"}
SAFE = {"GET", "HEAD"}


@pytest.fixture
async def both() -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway() as both:
        yield both


async def _recorded(client: httpx.AsyncClient, count: int, **query: str) -> list[dict[str, Any]]:
    async def found() -> int:
        return len((await client.get("/v1/audit", params=query, headers=bearer(ADMIN_TOKEN))).json()["entries"])

    await becomes(found, count)
    entries: list[dict[str, Any]] = (await client.get("/v1/audit", params=query, headers=bearer(ADMIN_TOKEN))).json()["entries"]
    return entries


def test_every_route_that_is_not_only_read_is_audited_but_submitting() -> None:
    unaudited = {f"{method} {path}" for (method, path), access in ACCESS.items() if method not in SAFE and not access.action}
    # Submissions are records of the ledger themselves.
    assert unaudited == {"POST /v1/tasks", "POST /v1/tasks/batch"}


async def test_a_change_is_recorded_with_who_where_what_and_why(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    token = await token_for(gateway, Permission.OPERATE, name="ann")
    body = {"mode": "events", "reason": "a week without differences", "author": "boss"}
    await client.put(f"/v1/flags/{TASK}", json=body, headers=bearer(token))
    entry = (await _recorded(client, 1))[0]
    assert (entry["actor"], entry["via"], entry["credential"]) == ("ann", "token", token.split("_")[1])
    assert (entry["action"], entry["target"], entry["status"]) == ("flag.set", TASK, 200)
    assert (entry["reason"], json.loads(entry["detail"])) == ("a week without differences", {"mode": "events"})
    assert entry["address"] == "127.0.0.1"


async def test_what_was_refused_is_recorded_too(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    await client.post("/v1/flags/rollback", headers=bearer(await token_for(gateway, Permission.VIEW, name="eve")))
    await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 100}, headers=bearer(ADMIN_TOKEN))
    entries = await _recorded(client, 2)
    assert [(entry["actor"], entry["action"], entry["status"]) for entry in entries] == [
        ("environment-admin", "flag.set", 409),
        ("eve", "flags.rollback", 403),
    ]


async def test_logins_are_recorded_without_what_was_typed(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    token = await token_for(gateway, Permission.VIEW, name="ann")
    for typed in ("a guess of mine", token):
        await client.post("/console/login", data={"token": typed}, headers=HERE)
    text = json.dumps(entries := await _recorded(client, 2, action="session.begin"))
    seen = [(entry["actor"], entry["via"], entry["status"]) for entry in entries]
    assert seen == [("ann", "session", 303), ("anybody", "session", 401)]
    assert "guess" not in text
    assert token not in text


async def test_a_token_that_is_created_and_revoked_is_named_and_not_shown(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    created = await client.post("/v1/tokens", json={"name": "ci", "permissions": ["submit"]}, headers=bearer(ADMIN_TOKEN))
    id_, shown = created.json()["id"], created.json()["token"]
    await client.delete(f"/v1/tokens/{id_}", headers=bearer(ADMIN_TOKEN))
    entries = await _recorded(client, 2)
    assert [(entry["action"], entry["target"]) for entry in entries] == [("token.revoke", id_), ("token.create", id_)]
    assert shown.rpartition("_")[2] not in json.dumps(entries)


async def test_of_dead_letters_that_were_discarded_together_every_one_is_named() -> None:
    async with guarded_gateway(access=AccessMode.OFF) as (_, client):
        ids = [f"dualrun.events.shop/{n:036d}" for n in range(1_000)]
        sent = {"letter": ids, "reason": ["", "out of date"], "more": "x" * 5_000}
        await client.post("/console/dead-letters/discard", data=sent, headers=HERE)
        entry = (await _recorded(client, 1, action="dead_letter.discard"))[0]
        assert all(f'"{id_}"' in entry["detail"] for id_ in ids)
        assert '"letter_count":1000' in entry["detail"]
        assert entry["reason"] == "out of date"

        # More than a page has to be ticked are counted, not kept.
        await client.post("/console/dead-letters/discard", data={"letter": ["a/b"] * 9_000, "reason": "again"}, headers=HERE)
        detail = json.loads((await _recorded(client, 2, action="dead_letter.discard"))[0]["detail"])
        assert (detail["letter_count"], len(detail["letter"])) == (9_000, 2_000)


async def test_a_rollback_in_the_console_says_why() -> None:
    async with guarded_gateway(access=AccessMode.OFF) as (_, client):
        await client.put(f"/v1/flags/{TASK}", json={"mode": "events", "author": "ann"})
        await client.post(f"/console/tasks/{TASK}/rollback", data={"reason": "mails twice"}, headers=HERE)
        entries = await _recorded(client, 2, target=TASK)
        assert [(entry["actor"], entry["action"], entry["reason"]) for entry in entries] == [
            ("anybody", "flag.rollback", "mails twice"),
            ("ann", "flag.set", ""),
        ]
        page = (await client.get("/console/audit", params={"action": "flag.rollback"})).text
        assert "mails twice" in page
        assert "flag.set" not in page.partition("<ol")[2]


async def test_while_the_ledger_is_away_a_rollback_answers_and_is_recorded_later(
    both: tuple[MemoryGateway, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway, client = both

    async def away(*_: object) -> None:
        raise StoreUnavailable("no connection")

    ledger = gateway.services.audit._ledger
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"}, headers=bearer(ADMIN_TOKEN))
    await _recorded(client, 1)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "append", away)
        patched.setattr(gateway.services.audit, "_again_s", 0.01)
        answer = await client.post(f"/v1/flags/{TASK}/rollback?wait_s=0", headers=bearer(ADMIN_TOKEN))
        assert answer.status_code == 200
        assert gateway.flags.snapshot.flags[TASK].mode == "legacy"
    assert (await _recorded(client, 2))[0]["action"] == "flag.rollback"


async def test_hostile_words_are_words(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    script = "<script>alert(1)</script>\r\nSet-Cookie: a=b"
    await client.post("/v1/flags/rollback", json={"reason": script}, headers=bearer(ADMIN_TOKEN))
    await _recorded(client, 1)
    page = (await client.get("/console/audit", headers=bearer(ADMIN_TOKEN))).text
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
