"""Logging in with an OpenID Connect provider that really runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from joserfc.jwk import RSAKey

from gateway.api.guard import SESSION_COOKIE
from gateway.settings import Settings
from tests.support.access import ADMIN_TOKEN, guarded_gateway
from tests.support.gateway_parts import MemoryGateway
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, OidcStub, running_provider


@pytest.fixture(scope="module")
def running() -> Iterator[OidcStub]:
    with running_provider() as running:
        yield running


@pytest.fixture
def provider(running: OidcStub, monkeypatch: pytest.MonkeyPatch) -> OidcStub:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")  # the provider of the tests speaks HTTP
    running.changes.clear()
    running.signs_with = None
    running.claims.update(groups=["sre"], email="ann@example.org")
    return running


@pytest.fixture
async def both(provider: OidcStub) -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    settings = {
        "public_url": "http://gateway",
        "oidc_issuer": provider.issuer,
        "oidc_client_id": CLIENT_ID,
        "oidc_client_secret": CLIENT_SECRET,
        "oidc_permissions": "sre=operate,reader=view",
    }
    async with guarded_gateway(**settings) as both:
        yield both


async def there_and_back(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    """What the browser does: to the provider, and back with its word."""
    begun = await client.get("/console/login/oidc?next=/console/flags")
    assert begun.status_code == 303
    async with httpx.AsyncClient() as browser:
        back = httpx.URL((await browser.get(begun.headers["location"])).headers["location"])
    return await client.get(back.path, params={**back.params, **changes})


async def test_whoever_the_provider_knows_gets_a_session_with_what_their_group_may(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    assert "identity provider" in (await client.get("/console/login")).text
    answer = await there_and_back(client)
    assert (answer.status_code, answer.headers["refresh"]) == (200, "0; url=/console/flags")
    assert "SameSite=strict" in answer.headers["set-cookie"]
    page = await client.get("/console/flags")
    assert (page.status_code, "ann@example.org" in page.text) == (200, True)
    assert (await client.get("/v1/tokens")).status_code == 403


@pytest.mark.parametrize(
    "changes",
    [{"nonce": "another"}, {"aud": "somebody-else"}, {"iss": "https://evil.example"}, {"exp": 1}],
    ids=["nonce", "audience", "issuer", "expired"],
)
async def test_a_token_that_is_not_for_this_login_is_nobodys(
    both: tuple[MemoryGateway, httpx.AsyncClient], provider: OidcStub, changes: dict[str, object]
) -> None:
    provider.changes.update(changes)
    answer = await there_and_back(both[1])
    assert (answer.status_code, SESSION_COOKIE in both[1].cookies) == (401, False)


async def test_a_token_somebody_else_signed_is_nobodys(both: tuple[MemoryGateway, httpx.AsyncClient], provider: OidcStub) -> None:
    provider.signs_with = RSAKey.generate_key(2048, {"kid": "one"})
    assert (await there_and_back(both[1])).status_code == 401


async def test_an_answer_to_a_login_nobody_began_here_is_refused(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    assert (await there_and_back(client, state="another")).status_code == 401
    assert (await there_and_back(client, code="invented")).status_code == 401
    client.cookies.clear()
    assert (await client.get("/console/login/oidc/callback?state=x&code=y")).status_code == 401
    assert SESSION_COOKIE not in client.cookies


async def test_who_is_in_no_group_gets_no_session(both: tuple[MemoryGateway, httpx.AsyncClient], provider: OidcStub) -> None:
    provider.claims["groups"] = ["sales"]
    answer = await there_and_back(both[1])
    assert (answer.status_code, SESSION_COOKIE in both[1].cookies) == (403, False)


async def test_a_provider_that_is_away_keeps_nobody_with_a_token_out() -> None:
    settings = {"public_url": "http://gateway", "oidc_issuer": "http://127.0.0.1:1", "oidc_client_id": "x", "oidc_permissions": "*=view"}
    async with guarded_gateway(**settings) as (_, client):
        assert (await client.get("/console/login/oidc")).status_code == 503
        answer = await client.post("/console/login", data={"token": ADMIN_TOKEN}, headers={"Sec-Fetch-Site": "same-origin"})
        assert answer.status_code == 303


async def test_without_a_provider_there_is_no_such_page() -> None:
    async with guarded_gateway() as (_, client):
        assert (await client.get("/console/login/oidc")).status_code == 404


def test_half_a_provider_is_refused_with_what_is_missing() -> None:
    with pytest.raises(ValueError, match="DUALRUN_PUBLIC_URL, DUALRUN_OIDC_CLIENT_ID, DUALRUN_OIDC_PERMISSIONS"):
        Settings(oidc_issuer="https://id.example.org")
