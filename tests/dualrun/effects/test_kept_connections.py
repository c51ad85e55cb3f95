"""Connections that were open before a shadow began: what no capture judges is not sent, and the connection stays as it was."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import logging.handlers
import smtplib
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import aiosmtplib
import asyncpg
import httpx
import pytest
import redis
import redis.asyncio
import requests
import urllib3
import uvloop
from celery import Celery
from kombu.connection import Connection

from dualrun.broker.memory import MemoryBroker
from dualrun.contracts import Event, Outcome, Role
from dualrun.contracts.topology import HEADER_ROLE, HEADER_SUBMISSION_ID
from dualrun.effects.execution import outside
from dualrun.effects.guard import guard, permitted
from dualrun.errors import ShadowRefused
from event_handlers.arrival import Arrival
from event_handlers.attempt import make_attempt
from event_handlers.circuit_guard import CircuitGuard
from event_handlers.definition import handler, handler_of
from event_handlers.publisher import EventPublisher
from legacy_celery.run import Runs
from tests.dualrun.effects.orders import running
from tests.support.services import unique_name

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Mail, Web

REFUSED = pytest.raises(ShadowRefused, match=r"a shadow may not connect or send to 127\.0\.0\.1:")


OPENSSL = [
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    *("-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
]


@dataclass
class Server:
    """Answers every line with the same line."""

    port: int
    lines: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Server]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                for line in self.rfile:
                    served.lines.append(line)
                    self.wfile.write(line)

    class Listening(socketserver.ThreadingTCPServer):
        def get_request(self) -> tuple[socket.socket, object]:
            connection, address = super().get_request()
            return connection if context is None else context.wrap_socket(connection, server_side=True), address

    with Listening(("127.0.0.1", 0), Handler) as listening:
        served = Server(listening.server_address[1])
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
        thread.start()
        yield served
        listening.shutdown()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    key, certificate = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "certificate.pem"))
    subprocess.run(
        [*OPENSSL, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    return key, certificate


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's context and the client's."""
    key, cert = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context, ssl.create_default_context(cafile=str(cert))


class Kept:
    """What PyMySQL keeps: a socket, written by `sendall`, read by a file."""

    def __init__(self, connection: socket.socket, write: Callable[[socket.socket, bytes], object]) -> None:
        self._connection, self._file, self._write = connection, connection.makefile("rb"), write

    def ask(self, line: bytes) -> bytes:
        self._write(self._connection, line)
        return self._file.readline()

    def close(self) -> None:
        self._file.close()
        self._connection.close()


def by_file(connection: socket.socket, line: bytes) -> None:
    with connection.makefile("wb") as file:
        file.write(line)


def by_view(connection: socket.socket, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[connection.send(view) :]


def by_sendfile(connection: socket.socket, line: bytes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(line)
        file.seek(0)
        connection.sendfile(file)


WRITES: list[Callable[[socket.socket, bytes], object]] = [
    lambda connection, line: connection.sendall(line),
    by_view,
    lambda connection, line: connection.sendmsg([line[:1], line[1:]]),
    by_file,
    by_sendfile,
]
TLS_WRITES = [WRITES[0], by_view, by_file, by_sendfile, lambda connection, line: connection.write(line)]


@pytest.mark.parametrize("write", WRITES, ids=["sendall", "send", "sendmsg", "file", "sendfile"])
def test_a_kept_socket_sends_for_everybody_but_a_shadow(write: Callable[[socket.socket, bytes], object], server: Server) -> None:
    with contextlib.closing(Kept(socket.create_connection(("127.0.0.1", server.port)), write)) as kept:
        _used_by_all_but_shadows(kept.ask)
    assert server.lines == [b"authority\n", b"outside\n"]


@pytest.mark.parametrize("write", TLS_WRITES, ids=["sendall", "send", "file", "sendfile", "write"])
def test_so_does_one_that_speaks_tls(write: Callable[[socket.socket, bytes], object], tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with serving(tls[0]) as server, socket.create_connection(("127.0.0.1", server.port)) as plain:
        connection = tls[1].wrap_socket(plain, server_hostname="127.0.0.1")
        with contextlib.closing(Kept(connection, write)) as kept:
            _used_by_all_but_shadows(kept.ask)
        assert server.lines == [b"authority\n", b"outside\n"]


def _used_by_all_but_shadows(ask: Callable[[bytes], bytes]) -> None:
    with running(Role.AUTHORITY):
        assert ask(b"authority\n") == b"authority\n"
    with running(), REFUSED:
        ask(b"shadow\n")
    assert ask(b"outside\n") == b"outside\n"


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=LOOPS)
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield runner


@pytest.mark.parametrize("secure", [False, True])
def test_a_kept_stream_writes_for_everybody_but_a_shadow(
    secure: bool, runner: asyncio.Runner, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async def use(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls[1] if secure else None)

        async def ask(line: bytes) -> bytes:
            writer.writelines([line]) if line == b"outside\n" else writer.write(line)
            return await asyncio.wait_for(reader.readline(), 5)

        await _awaited_by_all_but_shadows(ask)
        with running(), REFUSED:
            writer.writelines([b"shadow\n"])
        with running():
            # To say goodbye is nobody's effect.
            writer.close()
        await writer.wait_closed()

    with serving(tls[0] if secure else None) as server:
        runner.run(use(server.port))
        assert server.lines == [b"authority\n", b"outside\n"]


async def _awaited_by_all_but_shadows(ask: Callable[[bytes], Awaitable[bytes]]) -> None:
    with running(Role.AUTHORITY):
        assert await ask(b"authority\n") == b"authority\n"
    with running(), REFUSED:
        await ask(b"shadow\n")
    assert await ask(b"outside\n") == b"outside\n"


@pytest.mark.parametrize("secure", [False, True])
async def test_a_transport_of_asyncios_own_loop_is_judged_without_a_stream(
    secure: bool, tls: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    closed = asyncio.Event()

    class Protocol(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            lines.put_nowait(data)

        def connection_lost(self, exc: Exception | None) -> None:
            closed.set()

    with serving(tls[0] if secure else None) as server:
        transport, _ = await asyncio.get_running_loop().create_connection(
            Protocol, "127.0.0.1", server.port, ssl=tls[1] if secure else None
        )

        async def ask(line: bytes) -> bytes:
            transport.write(line)
            return await asyncio.wait_for(lines.get(), 5)

        await _awaited_by_all_but_shadows(ask)
        transport.close()
        await closed.wait()
        assert server.lines == [b"authority\n", b"outside\n"]


def test_a_kept_socket_of_a_loop_is_judged_too(runner: asyncio.Runner, server: Server) -> None:
    async def use() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.setblocking(False)

            async def ask(line: bytes) -> bytes:
                await loop.sock_sendall(connection, line)
                return await asyncio.wait_for(loop.sock_recv(connection, 100), 5)

            await _awaited_by_all_but_shadows(ask)

    runner.run(use())
    assert server.lines == [b"authority\n", b"outside\n"]


def test_what_is_declared_or_judged_or_nobodys_is_sent(server: Server) -> None:
    with contextlib.closing(Kept(socket.create_connection(("127.0.0.1", server.port)), WRITES[0])) as kept, running() as run:
        with outside():
            assert kept.ask(b"outside\n")
        with permitted():
            assert kept.ask(b"permitted\n")
        guard(frozenset({f"127.0.0.1:{server.port}"}))
        try:
            assert kept.ask(b"declared\n")
        finally:
            guard(frozenset())
    assert server.lines == [b"outside\n", b"permitted\n", b"declared\n"]
    assert run.effects == ()


def test_threads_of_a_shadow_may_wake_their_loop() -> None:
    async def woken() -> str:
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(done.set,))
        thread.start()
        await asyncio.wait_for(done.wait(), 5)
        thread.join()
        return await asyncio.to_thread(str, "back")

    with running(), asyncio.Runner() as runner:
        assert runner.run(woken()) == "back"


def test_what_a_shadow_logs_to_a_collector_is_no_effect(server: Server) -> None:
    handler = logging.handlers.SysLogHandler(("127.0.0.1", server.port), socktype=socket.SOCK_STREAM)
    handler.append_nul = False
    log = logging.getLogger("tests.collected")
    log.addHandler(handler)
    handler.setFormatter(logging.Formatter("%(message)s\n"))
    with running():
        log.warning("seen")
    _eventually(lambda: bool(server.lines))
    log.removeHandler(handler)
    handler.close()
    assert server.lines == [b"<12>seen\n"]


def _eventually(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(200):
        if holds():
            return
        waiting.wait(0.02)


def test_an_authority_is_told_where_it_went_past_the_captures(server: Server, web: Web) -> None:
    with contextlib.closing(Kept(socket.create_connection(("127.0.0.1", server.port)), WRITES[0])) as kept:
        with running(Role.AUTHORITY) as sent:
            kept.ask(b"x\n")
            kept.ask(b"y\n")
        with running(Role.AUTHORITY) as connected:
            socket.create_connection(("127.0.0.1", server.port)).close()
        with running(Role.AUTHORITY) as captured:
            httpx.get(web.url)
            requests.post(web.url, timeout=5)
        kept.ask(b"outside\n")
    assert sent.connections_uncaptured == connected.connections_uncaptured == (f"127.0.0.1:{server.port}",)
    assert captured.connections_uncaptured == ()


def test_an_outcome_of_the_legacy_side_tells_where_its_task_went_past_the_captures(server: Server) -> None:
    outcomes: list[Outcome] = []
    runs, task_id = Runs(outcomes.append), str(uuid.uuid4())
    runs.began(task_id, {HEADER_SUBMISSION_ID: task_id, "task": "t", HEADER_ROLE: "authority"})
    socket.create_connection(("127.0.0.1", server.port)).close()
    runs.ended(task_id, "SUCCESS", None)
    assert [one.connections_uncaptured for one in outcomes] == [(f"127.0.0.1:{server.port}",)]


async def test_an_outcome_of_the_events_side_tells_where_its_handler_went_past_the_captures(server: Server) -> None:
    @handler("t")
    async def connects() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.close()
        await writer.wait_closed()

    event = Event(id=str(uuid.uuid4()), type="t", source="/test", time=datetime.now(UTC))
    defined = handler_of(connects)
    assert defined is not None
    arrival = Arrival(event=event, role=Role.AUTHORITY, submission_id=event.id)
    attempt = await make_attempt(defined, arrival, EventPublisher(MemoryBroker(), "/test"), CircuitGuard())
    assert attempt.outcome(event.id).connections_uncaptured == (f"127.0.0.1:{server.port}",)


@contextlib.contextmanager
def by_requests(url: str) -> Iterator[Callable[[], int]]:
    with requests.Session() as session:
        yield lambda: session.get(url, timeout=5).status_code


@contextlib.contextmanager
def by_httpx(url: str) -> Iterator[Callable[[], int]]:
    with httpx.Client() as client:
        yield lambda: client.get(url).status_code


@pytest.mark.parametrize("client", [by_requests, by_httpx])
def test_captured_clients_read_over_the_connections_they_keep(
    client: Callable[[str], contextlib.AbstractContextManager[Callable[[], int]]], web: Web
) -> None:
    with client(web.url) as read:
        assert read() == 200
        with running() as run:
            assert read() == 200
    assert [effect.performed for effect in run.effects] == [True]


def test_captured_clients_of_loops_read_over_the_connections_they_keep(runner: asyncio.Runner, web: Web) -> None:
    async def read() -> None:
        async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session:
            for run in (running(Role.AUTHORITY), running()):
                with run:
                    assert (await client.get(web.url)).status_code == 200
                    async with session.get(web.url) as response:
                        assert await response.json()
                assert [effect.performed for effect in run.effects] == [True, True]
                assert run.connections_uncaptured == ()

    runner.run(read())


class Acknowledging(httpx.ByteStream):
    """Says how much was read as it is read, as HTTP/2 does."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(b"answer")
        self._connection = connection

    def __iter__(self) -> Iterator[bytes]:
        for chunk in super().__iter__():
            self._connection.sendall(b"read\n")
            yield chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in super().__aiter__():
            self._connection.sendall(b"read\n")
            yield chunk


async def test_a_captured_read_may_be_acknowledged_while_it_is_read(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Acknowledging(connection)))
        with running():
            with httpx.Client(transport=transport) as client, client.stream("GET", "http://shop/") as response:  # noqa: ASYNC212 - both kinds
                for _ in response.iter_bytes():
                    with REFUSED:
                        connection.sendall(b"between\n")
            async with httpx.AsyncClient(transport=transport) as client_async, client_async.stream("GET", "http://shop/") as answer:
                assert await answer.aread() == b"answer"
        assert connection.recv(5) == b"read\n"
    await asyncio.to_thread(_eventually, lambda: len(server.lines) == 2)
    assert server.lines == [b"read\n", b"read\n"]


@pytest.mark.services
def test_redis_is_read_watched_and_listened_to_over_the_connections_it_keeps(redis_url: str, redis_prefix: str) -> None:
    channel = f"{redis_prefix}news"
    with redis.Redis.from_url(redis_url) as other, redis.Redis.from_url(redis_url, health_check_interval=1) as client:
        with client.pubsub() as listening, client.pipeline() as pipeline:
            listening.subscribe(channel)
            for run in (running(Role.AUTHORITY), running()):
                with run:
                    assert client.get(f"{redis_prefix}x") is None
                    pipeline.watch(f"{redis_prefix}x")
                    pipeline.reset()
                    other_hears = _heard(listening)
                    listening.check_health()
                assert other_hears in ("subscribe", None)
                assert run.connections_uncaptured == ()
        connection = other.connection_pool.get_connection()
        with running(), pytest.raises(redis.ConnectionError, match="a shadow may not"):
            connection.send_command("SET", f"{redis_prefix}x", 1)
        other.connection_pool.release(connection)
        assert not other.exists(f"{redis_prefix}x")


def _heard(listening: redis.client.PubSub) -> object:
    message = listening.get_message(timeout=1)
    return None if message is None else message["type"]


@pytest.mark.services
def test_asyncpg_runs_over_the_connection_it_keeps(runner: asyncio.Runner, postgres_url: str) -> None:
    table = unique_name()

    async def use() -> None:
        connection = await asyncpg.connect(urlsplit(postgres_url)._replace(scheme="postgresql").geturl(), statement_cache_size=0)
        await connection.execute(f"CREATE TABLE {table} (id INTEGER)")
        for run in (running(Role.AUTHORITY), running()):
            with run:
                await connection.execute(f"INSERT INTO {table} VALUES ($1)", 1)
                await connection.execute(f"INSERT INTO {table} VALUES (2)")
                prepared = await connection.prepare(f"SELECT id FROM {table} ORDER BY id")
                async with connection.transaction():
                    assert [row["id"] async for row in prepared.cursor(prefetch=1)][:2] in ([1, 2], [1, 1])
                await run.finish()
            assert len(run.effects) == 2
            assert run.connections_uncaptured == ()
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 2
        await connection.execute(f"DROP TABLE {table}")
        with running():
            await connection.close()

    runner.run(use())


@pytest.mark.services
async def test_what_captures_know_is_no_connection_past_them(
    web: Web, mail: Mail, redis_url: str, redis_prefix: str, amqp_url: str
) -> None:
    celery = Celery(broker=amqp_url, set_as_current=False)
    queue = unique_name()
    with running(Role.AUTHORITY) as run, Connection(amqp_url) as connection:
        with smtplib.SMTP(mail.host, mail.port) as smtp:
            smtp.sendmail("a@example.org", ["b@example.org"], "Subject: x\r\n\r\nx")
        async with aiosmtplib.SMTP(hostname=mail.host, port=mail.port, start_tls=False) as server:
            await server.sendmail("a@example.org", ["b@example.org"], "Subject: y\r\n\r\ny")
        async with redis.asyncio.Redis.from_url(redis_url) as client:
            await client.set(f"{redis_prefix}x", 1, px=1)
        connection.Producer(auto_declare=False).publish({}, routing_key=queue)
        celery.send_task("nobody.serves_it", queue=queue)
        with urllib3.PoolManager() as pool:
            assert pool.request("DELETE", web.url).status == 200
    with celery.connection_for_write() as clean:
        clean.default_channel.queue_delete(queue)
    celery.close()
    assert [effect.kind for effect in run.effects] == ["email", "email", "cache", "message", "message", "http"]
    assert run.connections_uncaptured == ()
