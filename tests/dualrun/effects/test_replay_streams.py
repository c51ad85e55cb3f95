"""Answers that are read piece by piece are kept for the shadow as well, and one that was read in part is counted."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import closing
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import pytest
import requests
import urllib3

from dualrun.contracts import Role, Side
from dualrun.effects import execution
from dualrun.effects.answers import Recording, Replay

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Web

BODY = b'{"path": "/stock"}'


def requests_chunks(url: str) -> bytes:
    with requests.get(url, stream=True, timeout=5) as response:
        return b"".join(response.iter_content(5))


def requests_lines(url: str) -> bytes:
    response = requests.get(url, stream=True, timeout=5)
    return b"\n".join(response.iter_lines())


def requests_late_json(url: str) -> bytes:
    response = requests.get(url, stream=True, timeout=5)
    assert response.json() == {"path": "/stock"}
    return response.content


def requests_text(url: str) -> bytes:
    response = requests.get(url, stream=True, timeout=5)
    return "".join(response.iter_content(3, decode_unicode=True)).encode()


def httpx_chunks(url: str) -> bytes:
    with httpx.stream("GET", url) as response:
        return b"".join(response.iter_bytes(5))


def httpx_lines(url: str) -> bytes:
    with httpx.stream("GET", url) as response:
        return "".join(response.iter_lines()).encode()


async def httpx_async_chunks(url: str) -> bytes:
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        return b"".join([chunk async for chunk in response.aiter_bytes()])


async def httpx_async_read(url: str) -> bytes:
    async with httpx.AsyncClient() as client, client.stream("GET", url) as response:
        return await response.aread()


async def aiohttp_chunks(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return b"".join([chunk async for chunk in response.content.iter_chunked(5)])


async def aiohttp_any(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return b"".join([chunk async for chunk in response.content.iter_any()])


async def aiohttp_lines(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return b"".join([line async for line in response.content])


async def aiohttp_network_chunks(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return b"".join([chunk async for chunk, _ in response.content.iter_chunks()])


def urllib_read(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        assert response.status == 200
        return bytes(response.read(5) + response.read())


def urllib_copied(url: str) -> bytes:
    copy = BytesIO()
    with urllib.request.urlopen(url, timeout=5) as response:
        shutil.copyfileobj(response, copy)
    return copy.getvalue()


def urllib_text(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as response:
        return "".join(TextIOWrapper(response)).encode()


def http_client_read(url: str) -> bytes:
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=5)) as connection:
        connection.request("GET", parts.path)
        response = connection.getresponse()
        return response.read(5) + response.read1(3) + response.read()


def urllib3_preloaded(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", url).data


def urllib3_chunks(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        return b"".join(pool.request("GET", url, preload_content=False).stream(5))


def urllib3_read(url: str) -> bytes:
    with urllib3.PoolManager() as pool, pool.request("GET", url, preload_content=False) as response:
        return bytes(response.read(5) + response.read1(3) + response.read())


def urllib3_late_json(url: str) -> bytes:
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", url, preload_content=False)
        assert response.json() == {"path": "/stock"}
        response.release_conn()
        return response.data


def urllib3_copied(url: str) -> bytes:
    copy = BytesIO()
    with urllib3.PoolManager() as pool:
        shutil.copyfileobj(pool.request("GET", url, preload_content=False), copy)
    return copy.getvalue()


def blocking(way: Callable[[str], Coroutine[Any, Any, bytes]]) -> Callable[[str], bytes]:
    def run(url: str) -> bytes:
        return asyncio.run(way(url))

    run.__name__ = way.__name__
    return run


READ = [
    requests_chunks,
    requests_lines,
    requests_late_json,
    requests_text,
    httpx_chunks,
    httpx_lines,
    urllib_read,
    urllib_copied,
    urllib_text,
    http_client_read,
    urllib3_preloaded,
    urllib3_chunks,
    urllib3_read,
    urllib3_late_json,
    urllib3_copied,
]
AWAITED = [httpx_async_chunks, httpx_async_read, aiohttp_chunks, aiohttp_any, aiohttp_lines, aiohttp_network_chunks]
WAYS: list[Callable[[str], bytes]] = [*READ, *map(blocking, AWAITED)]


def authority(way: Callable[[str], object], url: str) -> Recording:
    with execution(role=Role.AUTHORITY, side=Side.LEGACY, submission_id="s", task="t", recorded=True) as run:
        way(url)
    assert run.recorder is not None
    return run.recorder.recording()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_was_read_in_pieces_is_given_to_the_shadow_whole_or_in_pieces(way: Callable[[str], bytes], web: Web) -> None:
    url = web.url + "/stock"
    assert way(url) == BODY, "outside of a run"
    recording = authority(way, url)
    assert (len(recording.answers), recording.dropped) == (1, 0)
    web.hits.clear()
    for asks in (way, requests_chunks):
        with execution(role=Role.SHADOW, side=Side.EVENTS, submission_id="s", task="t") as run:
            run.replay = Replay(recording.answers)
            assert asks(url) == BODY
    assert web.hits == []


def requests_first(url: str) -> None:
    with requests.get(url, stream=True, timeout=5) as response:
        next(response.iter_content(5))


def urllib3_first(url: str) -> None:
    with urllib3.PoolManager() as pool, pool.request("GET", url, preload_content=False) as response:
        assert response.read(5)


def urllib3_status(url: str) -> None:
    with urllib3.PoolManager() as pool, pool.request("GET", url, preload_content=False) as response:
        assert response.status == 200


def httpx_first(url: str) -> None:
    with httpx.stream("GET", url) as response:
        next(response.iter_bytes(5))


async def aiohttp_first(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        await response.content.read(5)


def requests_status(url: str) -> None:
    with requests.get(url, stream=True, timeout=5) as response:
        assert response.ok


def httpx_status(url: str) -> None:
    with httpx.stream("GET", url) as response:
        assert response.is_success


async def aiohttp_status(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.ok


def _first(url: str) -> None:
    asyncio.run(aiohttp_first(url))


def _status(url: str) -> None:
    asyncio.run(aiohttp_status(url))


@pytest.mark.parametrize("way", [requests_first, urllib3_first, httpx_first, _first])
def test_what_was_read_in_part_is_counted_and_not_kept(way: Callable[[str], None], web: Web) -> None:
    recording = authority(way, web.url + "/stock")
    assert (len(recording.answers), recording.dropped) == (0, 1)


@pytest.mark.parametrize("way", [requests_status, urllib3_status, httpx_status, _status])
def test_a_status_is_kept_without_a_body(way: Callable[[str], None], web: Web) -> None:
    recording = authority(way, web.url + "/stock")
    assert (len(recording.answers), recording.dropped) == (1, 0)
