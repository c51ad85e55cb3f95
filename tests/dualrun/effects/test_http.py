"""Calls by httpx (sync and async), requests, urllib3, aiohttp: the same call leaves the same effect, a shadow's leaves none outside."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import httpx
import pytest
import requests
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualrun.contracts import Effect, Role, Side
from dualrun.effects import Execution, execution
from dualrun.effects.capture.http_call import body_of, key_of
from dualrun.telemetry import execution_span, new_traceparent

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Web


@dataclass(frozen=True)
class Call:
    method: str = "POST"
    path: str = "/orders"
    json: object = None
    data: Mapping[str, str] | None = None
    content: bytes | None = None
    file: bytes | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Client: TypeAlias = Callable[[str, Call], Awaitable[tuple[int, object, Mapping[str, str]]]]


async def by_requests(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    response = await asyncio.to_thread(
        requests.request,
        call.method,
        url + call.path,
        json=call.json,
        data=call.data if call.content is None else call.content,
        files=None if call.file is None else {"file": ("a.bin", io.BytesIO(call.file))},
        params=call.params,
        headers=dict(call.headers),
        timeout=5,
    )
    return response.status_code, response.json() if response.content else None, response.headers


async def by_urllib3(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    def send() -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(retries=1) as pool:
            return pool.request(call.method, _with_query(url, call), timeout=5, **_urllib3_arguments(call))

    response = await asyncio.to_thread(send)
    return response.status, response.json() if response.data else None, response.headers


async def by_urllib3_pool(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    def send() -> urllib3.BaseHTTPResponse:
        given = _urllib3_arguments(call)
        path = _with_query("", call)
        with urllib3.connection_from_url(url, retries=1) as pool:
            if "json" in given or "fields" in given:
                return pool.request(call.method, path, timeout=5, **given)
            return pool.urlopen(call.method, path, given.get("body"), given["headers"], timeout=5, redirect=True)

    response = await asyncio.to_thread(send)
    return response.status, response.json() if response.data else None, response.headers


async def by_httpx(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    def send() -> httpx.Response:
        with httpx.Client(follow_redirects=True) as client:
            return client.request(call.method, url + call.path, **_httpx_arguments(call))

    response = await asyncio.to_thread(send)
    return response.status_code, response.json() if response.content else None, response.headers


async def by_httpx_async(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    async with httpx.AsyncClient(follow_redirects=True) as client:
        response = await client.request(call.method, url + call.path, **_httpx_arguments(call))
    return response.status_code, response.json() if response.content else None, response.headers


async def by_aiohttp(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    data = call.data if call.content is None else call.content
    async with (
        aiohttp.ClientSession() as session,
        session.request(call.method, url + call.path, json=call.json, data=data, params=call.params, headers=call.headers) as response,
    ):
        body = await response.read()
        return response.status, await response.json() if body else None, response.headers


async def by_http_client(url: str, call: Call) -> tuple[int, object, Mapping[str, str]]:
    given = _urllib3_arguments(call)
    body, headers = given.get("body"), given["headers"]
    if "json" in given:
        body, headers = json.dumps(given["json"]), {"content-type": "application/json"}
    elif call.data is not None:
        body, headers = urlencode(call.data), {"content-type": "application/x-www-form-urlencoded"}
    elif call.file is not None:
        body, content_type = urllib3.encode_multipart_formdata(given["fields"])
        headers = {"content-type": content_type}
    path = quote(_with_query("", call), safe="/?=&+%")

    def send() -> tuple[int, bytes, Mapping[str, str]]:
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)) as connection:
            connection.request(call.method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), dict(response.headers.items())

    status, content, named = await asyncio.to_thread(send)
    return status, json.loads(content) if content else None, named


def _with_query(url: str, call: Call) -> str:
    return f"{url}{call.path}{'?' + urlencode(call.params) if call.params else ''}"


def _urllib3_arguments(call: Call) -> dict[str, Any]:
    given: dict[str, Any] = {"headers": dict(call.headers)}
    if call.json is not None:
        given["json"] = call.json
    elif call.data is not None:
        given |= {"fields": dict(call.data), "encode_multipart": False}
    elif call.file is not None:
        given["fields"] = {"file": ("a.bin", call.file)}
    elif call.content is not None:
        given["body"] = call.content
    return given


def _httpx_arguments(call: Call) -> dict[str, Any]:
    return {
        "json": call.json,
        "data": call.data,
        "content": call.content,
        "files": None if call.file is None else {"file": ("a.bin", io.BytesIO(call.file))},
        "params": call.params or None,
        "headers": dict(call.headers),
    }


CLIENTS: dict[str, Client] = {
    "requests": by_requests,
    "urllib3": by_urllib3,
    "urllib3-pool": by_urllib3_pool,
    "http.client": by_http_client,
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "aiohttp": by_aiohttp,
}
CALLS = {
    "json": Call(json={"id": 1, "tags": ["a", None]}),
    "form": Call(data={"a": "1", "b": "ü"}),
    "text": Call(content=b"plain", headers={"content-type": "text/plain"}),
    "binary": Call(content=b"\x00\xff", headers={"content-type": "application/octet-stream"}),
    "file": Call(file=b"\x89PNG..."),
    "empty": Call(method="DELETE"),
    "put": Call(method="PUT", path="/a b/ü", json=[1], params={"z": "1", "a": "x y"}),
    "get": Call(method="GET", params={"q": "2", "a": "1"}),
    "head": Call(method="HEAD"),
    "options": Call(method="OPTIONS"),
    "redirected": Call(path="/moved", json={"x": 1}),
}
SAFE = {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("name", CALLS)
async def test_every_client_and_both_roles_leave_the_same_effect(web: Web, name: str) -> None:
    call = CALLS[name]
    seen: list[Effect] = []
    for role in Role:
        for client in CLIENTS.values():
            if call.file is not None and client is by_aiohttp:
                # aiohttp writes a form's files as it sends them.
                continue
            run = await _run(role, client, web.url, call)
            assert len(run.effects) == 1
            assert run.effects[0].performed is (role is Role.AUTHORITY or call.method in SAFE)
            seen.append(run.effects[0])
    assert len({(effect.kind, effect.key, repr(effect.payload), effect.error) for effect in seen}) == 1
    assert seen[0].key.startswith(f"{call.method} {web.url}/")


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("name", CALLS)
async def test_a_shadow_only_asks_and_never_changes(web: Web, client: Client, name: str) -> None:
    call = CALLS[name]
    with execution(role=Role.SHADOW, side=Side.LEGACY, submission_id="s", task="t"):
        status, body, headers = await client(web.url, call)
    assert status == 200
    if call.method in SAFE:
        assert [hit.method for hit in web.hits] == [call.method]
        assert "dualrun-shadow" not in headers
    else:
        assert web.hits == []
        assert (body, headers["dualrun-shadow"]) == ({}, "captured")


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_outside_an_execution_a_call_is_as_it_always_was(web: Web, client: Client) -> None:
    status, body, _ = await client(web.url, Call(json={"x": 1}))
    assert (status, body) == (201, {"path": "/orders"})
    assert "traceparent" not in web.hits[0].headers


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_a_refused_connection_is_raised_and_noted_alike(client: Client) -> None:
    with (
        execution(role=Role.AUTHORITY, side=Side.LEGACY, submission_id="s", task="t") as run,
        pytest.raises((httpx.ConnectError, requests.ConnectionError, aiohttp.ClientConnectionError, urllib3.exceptions.HTTPError, OSError)),
    ):
        await client("http://127.0.0.1:1", Call())
    assert [(effect.error, effect.performed) for effect in run.effects] == [("ConnectionError", True)]


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
async def test_a_call_carries_the_trace_of_its_execution(web: Web, client: Client) -> None:
    parent = new_traceparent()
    with (
        execution(role=Role.AUTHORITY, side=Side.LEGACY, submission_id="s", task="t"),
        execution_span("t", traceparent=parent, submission_id="s", side=Side.LEGACY, role=Role.AUTHORITY) as trace,
    ):
        await client(web.url, Call(json={}))
    sent = str(web.hits[0].headers["traceparent"]).split("-")
    assert sent[1] == parent.split("-")[1]
    assert [(span.name, span.kind) for span in trace.spans] == [("execute:t", "consumer"), ("http:POST:127.0.0.1/orders", "client")]
    assert sent[2] == trace.spans[1].span_id


async def test_a_generator_body_is_sent_untouched(web: Web) -> None:
    with execution(role=Role.AUTHORITY, side=Side.EVENTS, submission_id="s", task="t") as run:
        async with httpx.AsyncClient() as client:
            await client.post(web.url, content=iter_chunks())
    assert run.effects[0].payload == {"body": {"stream": True}}
    assert web.hits[0].body == b"ab"


async def iter_chunks() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


async def test_headers_and_credentials_are_never_kept(web: Web) -> None:
    secret_url = web.url.replace("http://", "http://user:secret@")
    with execution(role=Role.AUTHORITY, side=Side.EVENTS, submission_id="s", task="t") as run:
        await by_httpx(secret_url, Call(headers={"authorization": "Bearer secret"}))
    assert "secret" not in repr(run.effects)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=4), st.randoms())
def test_the_order_of_a_query_does_not_matter(query: dict[str, str], random: object) -> None:
    items = list(query.items())
    one = str(httpx.URL("http://h/p", params=items))
    two = requests.Request("GET", "http://h/p", params=list(reversed(items))).prepare().url
    assert key_of(one) == key_of(two or "")


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(["application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "", "x/y"]),
    st.binary(),
)
def test_any_body_has_a_form(content_type: str, body: bytes) -> None:
    assert body_of(content_type, body) == body_of(content_type, body)


async def _run(role: Role, client: Client, url: str, call: Call) -> Execution:
    with execution(role=role, side=Side.EVENTS, submission_id="s", task="t") as run:
        await client(url, call)
    return run
