"""Attacks that were thought of, each tried against the whole application. Others are beside what they attack.

Cross-site requests, DNS rebinding: api/test_guard.py, console/test_login.py. Token guessing: api/test_limits.py, core/test_access.py.
Server-side requests through webhooks: notices/test_webhook_target.py. Large and deep bodies: api/test_hostile_requests.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest

from dualrun.contracts import Role
from dualrun.contracts.outcome import Failure
from gateway.core.comparison import Verdict
from gateway.notices.webhook_target import TargetRefused, check_url, resolve
from gateway.settings import AccessMode
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway
from tests.support.gateway_parts import TASK, MemoryGateway
from tests.support.records import NOON, a_comparison, a_difference, a_record, an_outcome

SCRIPT = "<img src=x onerror=alert(1)>\"'><script>alert(1)</script>"
INJECTED = "x\r\nSet-Cookie: stolen=1"


@pytest.fixture
async def both() -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway(access=AccessMode.OFF) as both:
        yield both


async def test_names_arguments_values_and_errors_are_text_in_every_page_and_report(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    task = f"shop.{SCRIPT}"
    failure = Failure(kind=SCRIPT, message=SCRIPT, traceback=SCRIPT)
    await gateway.ledger.append([a_record(task=task, args=(SCRIPT,))], arrived_at=NOON)
    failed = an_outcome(role=Role.SHADOW, task=task, failure=failure)
    await gateway.ledger.append([an_outcome(role=Role.AUTHORITY, task=task, value=SCRIPT), failed], arrived_at=NOON)
    difference = a_difference(authority=SCRIPT, shadow=SCRIPT)
    await gateway.ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, difference, task=task)])
    name = quote(task, safe="")
    pages = (
        "/console/",
        f"/console/tasks/{name}",
        "/console/submissions/s1",
        "/v1/reports/shadow?format=html",
        f"/console/?q={quote(SCRIPT)}",
    )
    for page in pages:
        answer = await client.get(page)
        assert answer.status_code == 200, page
        assert answer.headers["content-type"].startswith("text/html")
        assert "<script>alert" not in answer.text, page
        assert "<img src=x" not in answer.text, page
        assert "&lt;script&gt;" in answer.text, page
        assert "script-src 'unsafe" not in answer.headers["content-security-policy"]


async def test_no_header_of_an_answer_is_the_callers(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    asked = [
        await client.get(f"/v1/tasks/{quote(INJECTED, safe='')}"),
        await client.get(f"/console/submissions?id={quote(INJECTED)}"),
        await client.get(f"/v1/flags/{quote(INJECTED, safe='')}"),
        await client.post(f"/console/tasks/{quote(INJECTED, safe='')}/hold", headers={"Sec-Fetch-Site": "same-origin"}),
        await client.get("/console/login", params={"next": INJECTED}),
        await client.post("/v1/flags/rollback", json={"reason": INJECTED, "author": INJECTED}),
        await client.get(f"/v1/reports/shadow/{quote(INJECTED, safe='')}?format=csv"),
    ]
    for answer in asked:
        assert "set-cookie" not in answer.headers, answer.url
        assert not any("\n" in value or "\r" in value for value in answer.headers.values())


@pytest.mark.parametrize("key", ["a\r\nX-Evil: 1", "a b", "", "k" * 256, "\x00"])
async def test_a_header_that_is_no_key_is_refused(both: tuple[MemoryGateway, httpx.AsyncClient], key: str) -> None:
    gateway, client = both
    answer = await client.post("/v1/tasks", json={"task": TASK}, headers=[(b"Idempotency-Key", key.encode())])
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_header")
    assert await gateway.depths() == {}


@pytest.mark.parametrize(
    "path",
    [
        "/console/static/../../settings.py",
        "/console/static/%2e%2e/%2e%2e/settings.py",
        "/console/static/..%2f..%2fsettings.py",
        "/console/static/....//settings.py",
        "/console/static//etc/passwd",
        "/console/static/vendor/%2e%2e/%2e%2e/page.py",
        "/v1/dead-letters/..%2f..%2fetc/passwd",
        "/console/tasks/../../../etc/passwd",
    ],
)
async def test_no_path_leads_out_of_what_is_served(path: str) -> None:
    async with guarded_gateway() as (_, client):
        # As it is: the client would tidy it up.
        url = httpx.URL("http://gateway").copy_with(raw_path=path.encode())
        answer = await client.send(httpx.Request("GET", url, headers=bearer(ADMIN_TOKEN)))
        assert answer.status_code in (404, 422, 307), answer.text
        assert "root:" not in answer.text
        assert "import" not in answer.text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/latest", "http://10.0.0.1/", "http://0.0.0.0/"]
)
async def test_a_webhook_asks_nobody_in_ones_own_network(url: str) -> None:
    with pytest.raises(TargetRefused):
        await resolve(check_url(url), allowed=())


async def test_a_body_that_never_ends_or_is_nested_without_end_is_refused(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    limit = gateway.services.settings.max_body_bytes

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(limit // 65_536 + 2):
            yield b" " * 65_536

    declared = {"Content-Type": "application/json"}
    assert (await client.post("/v1/tasks", content=endless(), headers=declared)).status_code == 413
    deep = b'{"task":"' + TASK.encode() + b'","args":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for path in ("/v1/tasks", "/v1/flags/rollback", f"/v1/flags/{TASK}/promote"):
        answer = await client.post(path, content=deep, headers=declared)
        assert (answer.status_code, answer.json()["code"]) == (422, "too_deep"), path
    assert await gateway.depths() == {}
