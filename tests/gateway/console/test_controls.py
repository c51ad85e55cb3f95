"""Each page offers its reader what the guard would let them do, and nothing else: every page, for every kind of reader."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from starlette.routing import compile_path

from dualrun.broker import Message
from gateway.core.access import Permission
from gateway.core.comparison import Verdict
from gateway.core.report import ReportScope
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.access_matrix import MATRIX
from tests.support.gateway_parts import EVENTS_QUEUE, TASK, MemoryGateway
from tests.support.records import NOON, a_comparison, a_difference, a_record

SUBMIT, VIEW, OPERATE, ADMIN = Permission
LETTER = f"/console/dead-letters/{EVENTS_QUEUE}/m-1"
READERS = [(VIEW,), (VIEW, SUBMIT), (OPERATE,), (OPERATE, SUBMIT), (ADMIN,)]
HERE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(slots=True)
class Offered(HTMLParser):
    """What a page lets its reader send, and where it leads: `METHOD path` without the query."""

    sent: set[str] = field(default_factory=set)
    led: set[str] = field(default_factory=set)
    loose: list[str] = field(default_factory=list)
    _in_form: bool = False

    def __post_init__(self) -> None:
        HTMLParser.__init__(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._in_form = True
            if given["method"] == "post":
                self.sent.add(f"POST {_path(given['action'])}")
        elif tag == "a":
            self.led.add(f"GET {_path(given['href'])}")
        elif tag in ("button", "input", "select", "textarea") and given.get("type") != "button":
            if not self._in_form:
                self.loose.append(f"{tag} {given}")
            if "formaction" in given:
                self.sent.add(f"POST {_path(given['formaction'])}")

    def handle_endtag(self, tag: str) -> None:
        self._in_form = self._in_form and tag != "form"


def _path(href: str) -> str:
    return unquote(urlsplit(href).path)


def the_route(request: str) -> str:
    """The matrix's line for a request; fails where nothing is served there."""
    method, _, path = request.partition(" ")
    found = [line for line in MATRIX if line.startswith(f"{method} ") and compile_path(line.partition(" ")[2])[0].match(path)]
    assert found, f"a page offers {request}"
    # A task's name may hold slashes: the longest says most.
    return max(found, key=len)


def lets_in(route: str, permissions: tuple[Permission, ...]) -> bool:
    return None in MATRIX[route] or not MATRIX[route].isdisjoint(permissions)


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway(rules_dir=tmp_path) as both:
        yield both


@pytest.fixture
async def pages(both: tuple[MemoryGateway, httpx.AsyncClient]) -> tuple[str, ...]:
    """Every page, of a gateway on which everything that could be done is there to be done."""
    gateway, client = both
    for share in (5, 6):
        flag = {"mode": "shadow", "shadow_percent": share, "safety": "sandboxed", "force": True, "reason": "a test"}
        (await client.put(f"/v1/flags/{TASK}", json=flag, headers=bearer(ADMIN_TOKEN))).raise_for_status()
    await gateway.ledger.append([a_record("s1", task=TASK)], arrived_at=NOON)
    await gateway.ledger.store([a_comparison("s1", Verdict.DIFFERENT_VALUE, a_difference(), task=TASK)])
    for n in (1, 2):
        await gateway.broker.publish("", f"{EVENTS_QUEUE}.dead", Message(body=b"{}", message_id=f"m-{n}", headers={}))
    report = await gateway.ledger.shadow_report(ReportScope(), now=NOON)
    return (
        "/console/",
        f"/console/tasks/{TASK}",
        f"/console/tasks/{TASK}/submit",
        f"/console/differences/{report.tasks[0].groups[0].fingerprint}",
        "/console/submissions",
        "/console/submissions/s1",
        "/console/flags",
        "/console/flags/1",
        "/console/breakers",
        "/console/workers",
        "/console/dead-letters",
        LETTER,
        "/console/tasks/nobody.knows.it",
        "/console/audit",
    )


async def read(client: httpx.AsyncClient, token: str, pages: tuple[str, ...]) -> Mapping[str, Offered]:
    """What each page offers in a session begun with the token; those that refuse the reader are left out."""
    client.cookies.clear()
    begun = await client.post("/console/login", data={"token": token}, headers=HERE)
    assert begun.status_code == 303
    found: dict[str, Offered] = {}
    for page in pages:
        answer = await client.get(page)
        if answer.status_code != 403:
            found[page] = Offered()
            found[page].feed(answer.text)
    return found


async def test_an_administrator_is_offered_every_change_the_console_serves(
    both: tuple[MemoryGateway, httpx.AsyncClient], pages: tuple[str, ...]
) -> None:
    offered = await read(both[1], ADMIN_TOKEN, pages)
    changes = {the_route(one) for page in offered.values() for one in page.sent}
    # A page that logs in is for those who have not.
    assert changes == {line for line in MATRIX if line.startswith("POST /console/")} - {"POST /console/login"}


@pytest.mark.parametrize("permissions", READERS, ids=" ".join)
async def test_a_reader_is_offered_the_changes_they_may_make_and_no_other(
    both: tuple[MemoryGateway, httpx.AsyncClient], pages: tuple[str, ...], permissions: tuple[Permission, ...]
) -> None:
    gateway, client = both
    everything = await read(client, ADMIN_TOKEN, pages)
    offered = await read(client, await token_for(gateway, *permissions), pages)
    assert set(offered) == {page for page in pages if lets_in(the_route(f"GET {page}"), permissions)}
    for page, found in offered.items():
        assert found.sent == {one for one in everything[page].sent if lets_in(the_route(one), permissions)}, page
        assert found.loose == [], page


@pytest.mark.parametrize("permissions", READERS, ids=" ".join)
async def test_no_page_leads_a_reader_to_one_that_would_refuse_them_or_that_they_could_only_look_at(
    both: tuple[MemoryGateway, httpx.AsyncClient], pages: tuple[str, ...], permissions: tuple[Permission, ...]
) -> None:
    gateway, client = both
    offered = await read(client, await token_for(gateway, *permissions), pages)
    led = {the_route(one) for page in offered.values() for one in page.led if "/console/" in one}
    assert "GET /console/flags" in led
    assert [route for route in led if not lets_in(route, permissions)] == []
    assert ("GET /console/tasks/{task:path}/submit" in led) is lets_in("POST /console/tasks/{task:path}/submit", permissions)


@pytest.mark.parametrize("permissions", READERS, ids=" ".join)
async def test_where_the_pages_own_action_is_missing_a_line_says_what_it_takes(
    both: tuple[MemoryGateway, httpx.AsyncClient], pages: tuple[str, ...], permissions: tuple[Permission, ...]
) -> None:
    gateway, client = both
    offered = await read(client, await token_for(gateway, *permissions), pages)
    says: dict[str, str] = {page: (await client.get(page)).text for page in offered}
    submits = f"/console/tasks/{TASK}/submit"
    for page in (f"/console/tasks/{TASK}", pages[3], "/console/flags", "/console/flags/1", "/console/dead-letters", LETTER, submits):
        needed = SUBMIT if page == submits else OPERATE
        lacks = needed not in permissions and ADMIN not in permissions
        assert says[page].count(f"needs the permission <code>{needed}</code>.") == int(lacks), page
    for page in ("/console/", "/console/submissions/s1"):
        assert "needs the permission" not in says[page], page


async def test_a_token_for_some_tasks_is_offered_what_it_reaches(
    both: tuple[MemoryGateway, httpx.AsyncClient], pages: tuple[str, ...]
) -> None:
    gateway, client = both
    mine = bearer(await token_for(gateway, OPERATE, tasks=["order.*"]))
    found = Offered()
    found.feed((await client.get(f"/console/tasks/{TASK}", headers=mine)).text)
    assert found.sent == {f"POST /console/tasks/{TASK}/{verb}" for verb in ("rollback", "promote", "hold")}
    assert "GET /console/flags" not in found.led


async def test_a_stranger_is_offered_nothing_but_to_log_in(both: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    found = Offered()
    found.feed((await both[1].get("/console/login")).text)
    assert (found.sent, found.led) == ({"POST /console/login"}, {"GET ", "GET /console/"})


async def test_where_nobody_has_to_say_who_they_are_everybody_is_offered_everything() -> None:
    async with guarded_gateway(access="off") as (_, client):
        (await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})).raise_for_status()
        for page, change in (("/console/flags", "/console/flags/rollback"), (f"/console/tasks/{TASK}", f"/console/tasks/{TASK}/rollback")):
            found = Offered()
            found.feed((await client.get(page)).text)
            assert f"POST {change}" in found.sent
