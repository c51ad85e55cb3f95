"""A shadow that tries to get around the captures: the outside sees nothing of it."""

from __future__ import annotations

import asyncio
import http.client
import os
import smtplib
import socket
import subprocess
import sys
import threading
import urllib.request
import xmlrpc.client
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

import httpx
import psycopg
import pytest
import redis
import urllib3
import uvloop
from kombu.connection import Connection

from dualrun.contracts import Role
from dualrun.effects.guard import guard
from dualrun.errors import ShadowRefused
from tests.dualrun.effects.orders import running
from tests.support.services import unique_name

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Mail, Web


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def raw_socket(url: str) -> None:
    with socket.create_connection(_address(url), timeout=5) as connection:
        connection.sendall(b"POST /raw HTTP/1.0\r\ncontent-length: 0\r\n\r\n")
        assert connection.recv(100)


async def _stream(url: str) -> None:
    reader, writer = await asyncio.open_connection(*_address(url))
    writer.write(b"POST /stream HTTP/1.0\r\ncontent-length: 0\r\n\r\n")
    await reader.read()
    writer.close()
    await writer.wait_closed()


def second_loop(url: str) -> None:
    with asyncio.Runner() as runner:
        runner.run(_stream(url))


def second_uvloop(url: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_stream(url))


def _program(url: str) -> list[str]:
    return [sys.executable, "-c", f"import urllib.request as u; u.urlopen({url + '/child'!r}, data=b'x').close()"]


def child(url: str) -> None:
    subprocess.run(_program(url), check=True)


def shell(url: str) -> None:
    assert os.system(" ".join([sys.executable, "-c", f"\"import urllib.request as u; u.urlopen('{url}/shell', data=b'x').close()\""])) == 0


def spawned(url: str) -> None:
    program = _program(url)
    assert os.waitpid(os.posix_spawn(program[0], program, os.environ), 0)[1] == 0


async def _child(url: str) -> None:
    process = await asyncio.create_subprocess_exec(*_program(url))
    assert await process.wait() == 0


def uvloop_child(url: str) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_child(url))


ROUTES: list[Callable[[str], None]] = [raw_socket, second_loop, second_uvloop, child, shell, spawned, uvloop_child]


@pytest.mark.parametrize("route", ROUTES)
def test_an_undeclared_route_is_refused_in_a_shadow_alone(route: Callable[[str], None], web: Web) -> None:
    with running(), pytest.raises(ShadowRefused, match="a shadow may not"):
        route(web.url)
    assert web.hits == []
    with running(Role.AUTHORITY):
        route(web.url)
    route(web.url)
    assert len(web.hits) == 2


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:9", "udp://127.0.0.1:9"])
def test_a_datagram_is_refused_as_well(url: str) -> None:
    kind = socket.SOCK_DGRAM if url.startswith("udp") else socket.SOCK_STREAM
    with running(), socket.socket(socket.AF_INET, kind) as sender, pytest.raises(ShadowRefused, match=r"127\.0\.0\.1:9"):
        sender.sendto(b"x", _address(url))


def in_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class _Own(threading.Thread):
    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__()
        self._work = work

    def run(self) -> None:
        self._work()


def in_own_thread(work: Callable[[], None]) -> None:
    thread = _Own(work)
    thread.start()
    thread.join()


def in_pool(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def in_map(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        list(pool.map(lambda _: work(), [1]))


def in_loop_executor(work: Callable[[], None]) -> None:
    async def go() -> None:
        await asyncio.get_running_loop().run_in_executor(None, work)

    asyncio.run(go())


def in_second_loop(work: Callable[[], None]) -> None:
    async def go() -> None:
        work()

    in_thread(lambda: asyncio.run(go()))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("crossing", [in_thread, in_own_thread, in_pool, in_map, in_loop_executor])
def test_a_thread_belongs_to_the_execution_that_starts_it(crossing: Callable[[Callable[[], None]], None], role: Role, web: Web) -> None:
    def work() -> None:
        httpx.post(web.url + "/from-thread", json={})

    with running(role) as run:
        crossing(work)
    assert [effect.key for effect in run.effects] == [f"POST {web.url}/from-thread"]
    assert len(web.hits) == (role is Role.AUTHORITY)


@pytest.mark.services
@pytest.mark.parametrize("crossing", [in_thread, in_own_thread, in_pool, in_map, in_loop_executor, in_second_loop])
def test_from_wherever_a_shadow_writes_nothing_gets_out(
    crossing: Callable[[Callable[[], None]], None],
    web: Web,
    mail: Mail,
    postgres_url: str,
    redis_url: str,
    redis_prefix: str,
    amqp_url: str,
) -> None:
    database, table = urlsplit(postgres_url)._replace(scheme="postgresql").geturl(), unique_name()

    def work() -> None:
        httpx.post(web.url, json={})
        with smtplib.SMTP(mail.host, mail.port) as server:
            server.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\nx")
        with psycopg.connect(database) as connection:
            connection.execute(f"INSERT INTO {table} VALUES (1)")
        with redis.Redis.from_url(redis_url) as client:
            client.set(f"{redis_prefix}x", 1)
        with Connection(amqp_url) as connection, connection.Producer(auto_declare=False) as producer:
            producer.publish({}, routing_key=table)

    with psycopg.connect(database, autocommit=True) as outside, redis.Redis.from_url(redis_url) as client:
        outside.execute(f"CREATE TABLE {table} (id INTEGER)")
        with running() as run:
            crossing(work)
        assert outside.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        assert not client.exists(f"{redis_prefix}x")
        outside.execute(f"DROP TABLE {table}")
    assert (web.hits, mail.envelopes, mail.connections) == ([], [], 0)
    assert [(effect.kind, effect.performed) for effect in run.effects] == [
        (kind, False) for kind in ("http", "email", "sql", "cache", "message")
    ]


def test_a_pool_first_used_by_a_shadow_serves_others_afterwards(web: Web) -> None:
    with ThreadPoolExecutor(1) as pool:
        with running():
            pool.submit(httpx.post, web.url + "/shadow").result()
        pool.submit(httpx.post, web.url + "/real").result()
    assert [hit.path for hit in web.hits] == ["/real"]


@pytest.mark.parametrize("role", list(Role))
def test_urllib_is_captured_as_the_others_are(role: Role, web: Web) -> None:
    with running(role) as run:
        with urllib.request.urlopen(web.url + "/read", timeout=5) as answer:
            assert answer.status == 200
        request = urllib.request.Request(web.url + "/a", data=b'{"x": 1}', headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == (200 if role is Role.SHADOW else 201)
        httpx.post(web.url + "/a", json={"x": 1})
    _, by_urllib, by_httpx = run.effects
    assert by_urllib == by_httpx
    assert [hit.path for hit in web.hits] == (["/read"] if role is Role.SHADOW else ["/read", "/a", "/a"])


def test_reads_by_a_captured_library_go_out(web: Web) -> None:
    with running():
        assert httpx.get(web.url + "/read").status_code == 200
    assert [hit.path for hit in web.hits] == ["/read"]


def test_a_declared_address_is_let_through(web: Web) -> None:
    host, port = _address(web.url)
    guard(frozenset({f"{host}:{port}"}))
    try:
        with running():
            raw_socket(web.url)
    finally:
        guard(frozenset())
    assert len(web.hits) == 1


def test_the_refusal_names_the_address_and_how_to_declare_it(web: Web) -> None:
    host, port = _address(web.url)
    with running(), pytest.raises(ShadowRefused, match=f"DUALRUN_SHADOW_ALLOW={host}:{port}"):
        raw_socket(web.url)


def test_a_unix_socket_is_judged_by_its_path(tmp_path: Path) -> None:
    with running(), socket.socket(socket.AF_UNIX) as connection, pytest.raises(ShadowRefused, match=r"other\.sock"):
        connection.connect(str(tmp_path / "other.sock"))


@pytest.mark.parametrize("by_manager", [True, False])
def test_a_pool_of_urllib3_an_authority_has_used_writes_nothing_for_a_shadow(by_manager: bool, web: Web) -> None:
    with urllib3.PoolManager() as manager:
        pool = manager.connection_from_url(web.url)

        def post() -> int:
            if by_manager:
                return manager.request("POST", web.url + "/orders", body=b"x").status
            return pool.urlopen("POST", "/orders", body=b"x").status

        with running(Role.AUTHORITY) as authority:
            assert post() == 201
        with running() as shadow:
            assert post() == 200
        assert pool.num_connections == 1
    assert [(one.key, one.payload) for one in authority.effects] == [(f"POST {web.url}/orders", {"body": "x"})]
    assert [(one.key, one.payload, one.performed) for one in shadow.effects] == [(f"POST {web.url}/orders", {"body": "x"}, False)]
    assert len(web.hits) == 1


def by_request(connection: http.client.HTTPConnection) -> None:
    connection.request("POST", "/orders", b"x")


def by_steps(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/orders")
    connection.putheader("Content-Length", "1")
    connection.endheaders()
    connection.send(b"x")


@pytest.mark.parametrize(("request_by", "body"), [(by_request, "x"), (by_steps, {"stream": True})])
def test_a_connection_of_http_client_an_authority_has_used_writes_nothing_for_a_shadow(
    request_by: Callable[[http.client.HTTPConnection], None], body: object, web: Web
) -> None:
    host, port = _address(web.url)
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        statuses: list[int] = []
        runs = [running(Role.AUTHORITY), running(), running(), running(Role.AUTHORITY)]
        for run in runs:
            with run:
                request_by(connection)
                response = connection.getresponse()
                statuses.append(response.status)
                response.read()
    assert statuses == [201, 200, 200, 201]
    assert [[(one.key, one.payload, one.performed) for one in run.effects] for run in runs] == [
        [(f"POST {web.url}/orders", {"body": body}, not run.shadow)] for run in runs
    ]
    assert [hit.body for hit in web.hits] == [b"x", b"x"]
    assert {run.connections_uncaptured for run in runs} == {()}


def test_what_is_sent_to_http_client_past_its_requests_is_refused(web: Web) -> None:
    host, port = _address(web.url)
    with closing(http.client.HTTPConnection(host, port, timeout=5)) as connection:
        connection.connect()
        with running(), pytest.raises(ShadowRefused):
            connection.send(b"POST /raw HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
    assert web.hits == []


@pytest.mark.parametrize("role", list(Role))
def test_xmlrpc_is_captured_as_the_http_it_is(role: Role, web: Web) -> None:
    with (
        running(role) as run,
        xmlrpc.client.ServerProxy(web.url + "/rpc") as server,
        pytest.raises((ExpatError, xmlrpc.client.ProtocolError)),
    ):
        server.book(7)
    assert [effect.key for effect in run.effects] == [f"POST {web.url}/rpc"]
    assert len(web.hits) == (role is Role.AUTHORITY)
