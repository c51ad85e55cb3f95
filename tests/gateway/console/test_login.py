"""Sessions of the console: begun with a token, kept from scripts and other sites, ended everywhere."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest

from dualrun.contracts import Mode
from gateway.api.application import create_application
from gateway.api.guard import SESSION_COOKIE
from gateway.console import create_console
from gateway.core.access import Permission
from gateway.core.flags import Flag
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.eventually import becomes
from tests.support.gateway_parts import TASK, MemoryGateway

HERE = {"Sec-Fetch-Site": "same-origin"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
HIDDEN = re.compile(r'name="csrf" value="([0-9a-f]{64})"')


@pytest.fixture
async def both() -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway() as both:
        yield both


async def log_in(client: httpx.AsyncClient, token: str, wanted: str = "") -> httpx.Response:
    return await client.post("/console/login", data={"token": token, "next": wanted}, headers=HERE)


async def test_a_stranger_is_led_to_the_login_page_and_from_there_to_where_they_were_going(
    both: tuple[MemoryGateway, httpx.AsyncClient],
) -> None:
    gateway, client = both
    led = await client.get("/console/flags")
    assert (led.status_code, led.headers["location"]) == (303, "/console/login?next=/console/flags")
    assert "Access token" in (await client.get(led.headers["location"])).text
    entered = await log_in(client, await token_for(gateway, Permission.OPERATE, name="ann"), "/console/flags")
    assert (entered.status_code, entered.headers["location"]) == (303, "/console/flags")
    page = await client.get("/console/flags")
    assert page.status_code == 200
    assert "ann" in page.text
    # The page's own script follows the event stream under the session.
    assert (await client.get("/v1/events?after=nonsense")).status_code == 422


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_holds_no_token(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    token = await token_for(gateway, Permission.VIEW)
    cookie = SimpleCookie((await log_in(client, token)).headers["set-cookie"])[SESSION_COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "strict", "/")
    assert token.rpartition("_")[2] not in cookie.value
    client.cookies.clear()
    secure = await client.post("https://gateway/console/login", data={"token": token}, headers=HERE)
    assert "Secure" in secure.headers["set-cookie"]


async def test_whoever_has_no_token_or_a_narrow_one_gets_no_session(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    narrow = [await token_for(gateway, Permission.SUBMIT), await token_for(gateway, Permission.VIEW, tasks=["order.*"])]
    for token, status in (("", 401), ("guess", 401), (f"{narrow[0]}x", 401), (narrow[0], 403), (narrow[1], 403)):
        answer = await log_in(client, token)
        assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
        assert not token or token not in answer.text


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example",
        "/console//e",
        "/console/\\evil",
        "/console//e?a=b",
        "/?/console/",
        "javascript:1",
        "/v1/flags",
    ],
)
async def test_logging_in_leads_to_no_other_site(both: tuple[MemoryGateway, httpx.AsyncClient], wanted: str) -> None:
    assert (await log_in(both[1], ADMIN_TOKEN, wanted)).headers["location"] == "/console/"


async def test_a_form_without_its_sessions_token_changes_nothing(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    _, client = both
    await log_in(client, ADMIN_TOKEN)
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "é"}):
        answer = await client.post("/console/flags/rollback", data=form, headers=HERE)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "403 csrf" in answer.text
        assert "Nothing was changed" in answer.text
    # The right one, and a page of another site.
    csrf = HIDDEN.findall((await client.get("/console/flags")).text)[0]
    answer = await client.post("/console/flags/rollback", data={"csrf": csrf}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert (await client.post("/console/flags/rollback", data={"csrf": csrf}, headers=HERE)).status_code == 303
    # Another session's token is not this one's.
    client.cookies.clear()
    await log_in(client, ADMIN_TOKEN)
    assert (await client.post("/console/flags/rollback", data={"csrf": csrf}, headers=HERE)).status_code == 403


async def test_a_page_of_another_site_is_refused_in_words_to_a_person_and_in_json_to_a_program(
    both: tuple[MemoryGateway, httpx.AsyncClient],
) -> None:
    _, client = both
    await log_in(client, ADMIN_TOKEN)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    page = await client.post("/console/flags/rollback", headers={**elsewhere, **BROWSER})
    assert (page.status_code, page.headers["content-type"]) == (403, "text/html; charset=utf-8")
    assert "403 cross_site" in page.text
    assert (await client.post("/console/flags/rollback", headers=elsewhere)).json()["code"] == "cross_site"
    # A browser that says nothing of where it comes from has no business there either.
    page = await client.post("/console/flags/rollback")
    assert (page.status_code, "nothing was changed" in page.text) == (403, True)


async def test_a_live_page_whose_session_has_ended_leads_to_the_login_page_and_back(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    asked = {"HX-Request": "true", "HX-Current-URL": "http://gateway/console/?q=order&standing=differs"}
    answer = await both[1].get("/console/?q=order", headers=asked)
    # A redirect would be followed by the browser, and the login page taken for the part of the page that is written anew.
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/console/login?next=/console/%3Fq%3Dorder%26standing%3Ddiffers")
    entered = await log_in(both[1], ADMIN_TOKEN, "/console/?q=order&standing=differs")
    assert entered.headers["location"] == "/console/?q=order&standing=differs"


@pytest.mark.parametrize("url", ["http://evil.example/console/flags", "http://gateway//evil.example/", "javascript:1", "http://[", ""])
async def test_a_live_page_of_another_place_leads_back_to_the_first_page(both: tuple[MemoryGateway, httpx.AsyncClient], url: str) -> None:
    for method, named in (("GET", {"HX-Request": "true", "HX-Current-URL": url}), ("POST", {**BROWSER, "Referer": url})):
        answer = await both[1].request(method, "/console/flags/rollback", headers={**HERE, **named})
        led = answer.headers.get("hx-redirect") or answer.headers["location"]
        assert led.removesuffix("&ended=1") == "/console/login?next=/console/"


async def test_a_form_sent_after_the_session_ended_leads_to_the_login_page_which_says_that_nothing_was_changed(
    both: tuple[MemoryGateway, httpx.AsyncClient],
) -> None:
    _, client = both
    page = f"http://gateway/console/tasks/{TASK}?a=b"
    answer = await client.post(f"/console/tasks/{TASK}/rollback", data={"reason": "x"}, headers={**HERE, **BROWSER, "Referer": page})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/console/login?next=/console/tasks/{TASK}%3Fa%3Db&ended=1")
    login = (await client.get(answer.headers["location"])).text
    assert "nothing was changed" in login
    assert f'value="/console/tasks/{TASK}?a=b"' in login
    assert "nothing was changed" not in (await client.get("/console/login")).text
    # A program is told in its own words, and what a stranger tries is not kept in the audit log.
    assert (await client.post(f"/console/tasks/{TASK}/rollback", headers=HERE)).json()["code"] == "unauthenticated"
    await client.post("/v1/flags/rollback", headers=bearer(ADMIN_TOKEN))

    async def recorded() -> list[str]:
        return [entry["action"] for entry in (await client.get("/v1/audit", headers=bearer(ADMIN_TOKEN))).json()["entries"]]

    await becomes(recorded, ["flags.rollback"])


async def test_the_way_back_keeps_the_query(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    led = await both[1].get("/console/submissions?task=a%20b&period=1+h")
    wanted = httpx.URL(led.headers["location"]).params["next"]
    assert wanted == "/console/submissions?task=a%20b&period=1+h"
    assert (await log_in(both[1], ADMIN_TOKEN, wanted)).headers["location"] == wanted


async def test_every_form_of_every_page_carries_it(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    await log_in(client, ADMIN_TOKEN)
    await gateway.flags.replace({TASK: Flag(task=TASK, mode=Mode.EVENTS)}, expected_version=0, author="ann", reason="", source="api")
    for page in ("/", f"/tasks/{TASK}", "/flags", "/flags/1", "/tasks/nothing"):
        text = (await client.get(f"/console{page}")).text
        assert text.count('method="post"') == len(HIDDEN.findall(text)) > 0, page


async def test_a_session_ends_with_its_logout_and_with_its_token(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    gateway, client = both
    token = await token_for(gateway, Permission.VIEW)
    await log_in(client, token)
    kept = client.cookies[SESSION_COOKIE]
    csrf = HIDDEN.findall((await client.get("/console/")).text)[0]
    assert (await client.post("/console/logout", data={"csrf": csrf}, headers=HERE)).status_code == 303
    assert SESSION_COOKIE not in client.cookies
    client.cookies.set(SESSION_COOKIE, kept)
    assert (await client.get("/console/")).status_code == 303

    client.cookies.clear()
    await log_in(client, token)
    assert (await client.get("/console/")).status_code == 200
    await gateway.services.tokens.revoke(token.split("_")[1])
    assert (await client.get("/console/")).status_code == 303


async def test_a_page_that_is_not_there_is_a_page_to_whoever_is_logged_in_and_the_login_to_others(
    both: tuple[MemoryGateway, httpx.AsyncClient],
) -> None:
    _, client = both
    led = await client.get("/console/nothing")
    assert (led.status_code, led.headers["location"]) == (303, "/console/login?next=/console/nothing")
    await log_in(client, ADMIN_TOKEN)
    for path in ("/console/nothing", "/console/flags/nothing", "/console/differences/a/b/c", "/console/flags/"):
        answer = await client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), path
        assert "There is no such page" in answer.text
        assert len(HIDDEN.findall(answer.text)) == 1  # it can be logged out from, like every page
        assert 'href="/console/flags"' in answer.text
        assert answer.headers["content-security-policy"] == (await client.get("/console/flags")).headers["content-security-policy"]
    assert (await client.head("/console/nothing")).status_code == 404


async def test_what_is_no_page_is_told_so_in_json_as_before(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    await log_in(both[1], ADMIN_TOKEN)
    for method, path, status in (
        ("POST", "/console/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/consoles", 404),
        ("GET", "/console/flags/rollback", 405),
    ):
        answer = await both[1].request(method, path, headers=HERE)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path


async def test_what_the_guard_does_not_know_is_not_served_whatever_the_framework_makes_of_the_path() -> None:
    async with guarded_gateway() as (gateway, _):
        # A server told that it sits below a prefix: frameworks take the prefix off, the guard does not.
        transport = httpx.ASGITransport(create_application(gateway.services, console=create_console), root_path="/console")
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            headers = bearer(await token_for(gateway, Permission.SUBMIT))
            for path in ("/console/console/audit", "/console/v1/audit", "/console/v1/tokens"):
                answer = await client.get(path, headers=headers)
                assert answer.status_code == 404, path
                assert "entries" not in answer.text


@pytest.mark.parametrize("cookie", ["", "x", "a.b", "eyJpZCI6MX0.c2ln"])
async def test_a_cookie_nobody_signed_is_nobodys(both: tuple[MemoryGateway, httpx.AsyncClient], cookie: str) -> None:
    both[1].cookies.set(SESSION_COOKIE, cookie)
    assert (await both[1].get("/console/")).status_code == 303


async def test_a_session_runs_out() -> None:
    async with guarded_gateway(session_s=0.000_001) as (_, client):
        await log_in(client, ADMIN_TOKEN)
        assert (await client.get("/console/")).status_code == 303
