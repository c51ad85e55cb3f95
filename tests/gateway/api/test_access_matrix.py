"""Every route against every permission. A route that is not in this table fails here; one that is in nobody's table is never served."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter
from starlette.routing import Route

from gateway.api import application
from gateway.api.route_access import ACCESS, Declared, RouteTable, declared
from gateway.console import create_console
from gateway.core.access import Permission
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.access_matrix import MATRIX
from tests.support.gateway_parts import TASK, MemoryGateway

FILLED = {
    "{submission_id}": "s1",
    "{task}": TASK,
    "{task:path}": TASK,
    "{version}": "1",
    "{version:int}": "1",
    "{queue}": "dualrun.events.shop",
    "{id}": "0123456789ab",
    "{fingerprint}": "0123456789abcdef",
    "{path:path}": "console.css",
}
REFUSALS = {"unauthenticated", "permission_missing", "task_out_of_reach", "forbidden"}


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[MemoryGateway, httpx.AsyncClient]]:
    async with guarded_gateway() as both:
        yield both


def test_every_route_the_application_serves_is_in_this_table_and_in_the_guards() -> None:
    served = {f"{method} {path}" for method, path in ACCESS}
    assert set(MATRIX) == served
    assert {f"{route.method} {route.path}" for route in _every_route()} == served


def test_an_application_with_a_route_nobody_gave_access_to_is_not_made() -> None:
    router = APIRouter()
    router.add_api_route("/surprise", lambda: None, methods=["POST"])
    with pytest.raises(LookupError, match="POST /v1/surprise"):
        RouteTable(declared(router.routes, "/v1"))
    pages = create_console(lambda: pytest.fail("nobody asks"))
    pages.router.routes.append(Route("/surprise", lambda request: None))
    with pytest.raises(LookupError, match="GET /console/surprise"):
        RouteTable(declared(pages.routes, "/console"))


async def test_a_caller_is_let_in_where_the_table_says_and_nowhere_else(gateway: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    running, client = gateway
    wrong = []
    for caller in (None, *Permission):
        headers = {} if caller is None else bearer(await token_for(running, caller))
        for route, let_in in MATRIX.items():
            # A stream has no end: whoever may read it is told what is wrong with the question.
            answer = await _ask(client, f"{route}?after=nonsense" if route == "GET /v1/events" else route, headers)
            if _is_refusal(answer) is (caller in let_in):
                wrong.append((caller, route, answer.status_code, answer.text[:100]))
    assert wrong == []


async def test_the_administrator_of_the_environment_may_everything(gateway: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    asked = {route: await _ask(gateway[1], route, bearer(ADMIN_TOKEN)) for route in MATRIX if route != "GET /v1/events"}
    assert [route for route, answer in asked.items() if _is_refusal(answer)] == []


async def test_what_is_not_served_says_nothing_to_strangers(gateway: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    for path in (
        "/v1/nothing",
        "/v1/flags/a/b/c",
        "/console/nothing",
        "/v1//flags",
        "/%2e%2e/etc/passwd",
        "/console/static/%2e%2e/page.py",
    ):
        if "static" not in path:
            assert _is_refusal(await gateway[1].get(path)), path
        assert (await gateway[1].get(path, headers=bearer(ADMIN_TOKEN))).status_code == 404, path


async def test_a_method_that_is_not_served_is_told_which_are(gateway: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    answer = await gateway[1].patch("/v1/flags", headers=bearer(ADMIN_TOKEN))
    assert (answer.status_code, answer.json()["detail"]) == (405, "this path takes GET, PUT")


async def test_head_is_what_get_is(gateway: tuple[MemoryGateway, httpx.AsyncClient]) -> None:
    assert (await gateway[1].head("/console/flags")).status_code == 303
    assert (await gateway[1].head("/console/flags", headers=bearer(ADMIN_TOKEN))).status_code == 200


def _every_route() -> list[Declared]:
    seen: list[Declared] = []

    class Spy(RouteTable):
        def __init__(self, served: list[Declared]) -> None:
            seen.extend(served)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(application, "RouteTable", Spy)
        application.create_application(console=create_console)
    return seen


async def _ask(client: httpx.AsyncClient, route: str, headers: dict[str, str]) -> httpx.Response:
    method, path = route.split(" ")
    for name, value in FILLED.items():
        path = path.replace(name, value)
    return await client.request(method, path, headers={**headers, "Sec-Fetch-Site": "same-origin"})


def _is_refusal(answer: httpx.Response) -> bool:
    """By the guard, or for a browser the way to the login page, with the page it asked for."""
    if answer.status_code in (401, 403):
        return answer.headers["content-type"] == "application/problem+json" and answer.json()["code"] in REFUSALS
    return answer.status_code == 303 and answer.headers["location"].startswith("/console/login?")
