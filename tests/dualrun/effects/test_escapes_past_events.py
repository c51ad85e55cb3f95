"""Ways out of a shadow that no audit event tells of, or by a name that means another thing: each is closed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing.pool import Pool, ThreadPool
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import redis
import uvloop

from dualrun.contracts import Role
from dualrun.errors import ShadowRefused
from tests.dualrun.effects.orders import running

if TYPE_CHECKING:
    from tests.dualrun.effects.conftest import Web


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory nobody declared, beside a scratch directory, with one file in it."""
    scratch, place = tmp_path / "scratch", tmp_path / "place"
    scratch.mkdir()
    place.mkdir()
    (place / "kept.txt").write_text("kept")
    monkeypatch.setattr("dualrun.effects.guard_files._SCRATCH", os.path.realpath(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    return place


def scratch() -> Path:
    return Path(tempfile.mkdtemp())


@contextmanager
def descriptor(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY)
    try:
        yield opened
    finally:
        os.close(opened)


def relative_to_a_directory(place: Path) -> None:
    with descriptor(place) as directory:
        os.close(os.open("new", os.O_WRONLY | os.O_CREAT, dir_fd=directory))


def through_a_link(place: Path) -> None:
    link = scratch() / "link"
    link.symlink_to(place / "new")
    link.write_text("x")


def through_a_linked_directory(place: Path) -> None:
    link = scratch() / "link"
    link.symlink_to(place)
    (link / "new").write_text("x")


def by_a_second_name(place: Path) -> None:
    second = scratch() / "second"
    second.hardlink_to(place / "kept.txt")
    second.write_text("x")


def opened_again_by_proc(place: Path) -> None:
    with (place / "kept.txt").open() as file:
        Path(f"/proc/self/fd/{file.fileno()}").write_text("x")


def opened_again_by_dev(place: Path) -> None:
    with (place / "kept.txt").open() as file:
        Path(f"/dev/fd/{file.fileno()}").write_text("x")


def from_another_root(place: Path) -> None:
    Path(f"/proc/self/root{place}/new").write_text("x")


def in_the_name_of_bytecode(place: Path) -> None:
    (place / "my__pycache__.txt").write_text("x")


def beside_bytecode(place: Path) -> None:
    (place / "__pycache__").mkdir()
    (place / "__pycache__" / "new.txt").write_text("x")


def mode_of_a_descriptor(place: Path) -> None:
    with descriptor(place / "kept.txt") as opened:
        os.fchmod(opened, 0o700)


def times(place: Path) -> None:
    os.utime(place / "kept.txt", (1, 1))


def attribute(place: Path) -> None:
    os.setxattr(place / "kept.txt", "user.x", b"x")


def pipe(place: Path) -> None:
    os.mkfifo(place / "pipe")


def node(place: Path) -> None:
    os.mknod(place / "node")


def shared_memory(_place: Path) -> None:
    Path("/dev/shm/dualrun-escape").write_text("x")


def sqlite_by_its_class(place: Path) -> None:
    with closing(sqlite3.Connection(place / "new.db")) as connection:
        connection.execute("CREATE TABLE t (id)")


FILES = [
    relative_to_a_directory,
    through_a_link,
    through_a_linked_directory,
    by_a_second_name,
    opened_again_by_proc,
    opened_again_by_dev,
    from_another_root,
    in_the_name_of_bytecode,
    beside_bytecode,
    mode_of_a_descriptor,
    times,
    attribute,
    pipe,
    node,
    shared_memory,
    sqlite_by_its_class,
]


def _state(place: Path) -> list[tuple[str, int, float, str]]:
    found = [(path, path.stat()) for path in sorted(place.rglob("*.txt"))]
    return [(path.name, stat.st_mode, stat.st_mtime, path.read_text()) for path, stat in found]


@pytest.mark.parametrize("way", FILES)
def test_a_file_is_judged_by_where_it_is_not_by_the_name_it_is_given(way: Callable[[Path], None], place: Path) -> None:
    before = _state(place)
    with running(), pytest.raises(ShadowRefused, match="a shadow may not"):
        way(place)
    assert _state(place) == before
    assert not (place / "new").exists()


def test_scratch_files_are_free_in_all_their_forms(place: Path) -> None:
    assert place.exists()
    with running():
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
            os.truncate(file.fileno(), 0)
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "link").symlink_to(place / "kept.txt")
            Path(directory, "link").unlink()
            os.mkfifo(Path(directory, "pipe"))
        Path(os.devnull).write_text("x")
    assert (place / "kept.txt").read_text() == "kept"


def spawned() -> None:
    multiprocessing.get_context("spawn").Process(target=int).start()


def forked() -> None:
    multiprocessing.get_context("fork").Process(target=int).start()


def served() -> None:
    multiprocessing.get_context("forkserver").Process(target=int).start()


def signalled() -> None:
    os.kill(os.getppid(), signal.SIGCONT)


def signalled_by_descriptor() -> None:
    with descriptor_of(os.getppid()) as process:
        signal.pidfd_send_signal(process, signal.SIGCONT)


@contextmanager
def descriptor_of(process_id: int) -> Iterator[int]:
    opened = os.pidfd_open(process_id)
    try:
        yield opened
    finally:
        os.close(opened)


@pytest.mark.parametrize("way", [spawned, forked, served, signalled, signalled_by_descriptor])
def test_other_processes_are_left_alone(way: Callable[[], None]) -> None:
    with running(), pytest.raises(ShadowRefused, match="a shadow may not"):
        way()
    os.kill(os.getpid(), 0)


def test_processes_started_before_take_no_work_from_a_shadow() -> None:
    # Not in a fork of this process: with threads about, that may hang.
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
        ways: list[Callable[[], object]] = [
            partial(Pool.apply, pool, abs, (-1,)),
            partial(Pool.map, pool, abs, [-1]),
            lambda: list(pool.imap(abs, [-1])),
            lambda: executor.submit(abs, -1).result(),
            lambda: list(executor.map(abs, [-1])),
        ]
        for way in ways:
            with running(), pytest.raises(ShadowRefused, match="another process"):
                way()
        assert (pool.apply(abs, (-1,)), executor.submit(abs, -1).result()) == (1, 1)


def after_a_future(work: Callable[[], None]) -> None:
    go = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(go.wait, 5.0).add_done_callback(lambda _: work())
        go.set()


def as_a_pool_begins(work: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1, initializer=work) as pool:
        pool.submit(int).result()


def by_a_pool_of_old(work: Callable[[], None]) -> None:
    OLD_POOL.apply(work)


def over_a_pool_of_old(work: Callable[[], None]) -> None:
    OLD_POOL.map(lambda _: work(), [1])


@pytest.fixture(scope="module", autouse=True)
def _old_pool() -> Iterator[None]:
    global OLD_POOL
    with ThreadPool(1) as OLD_POOL:
        yield


OLD_POOL: ThreadPool


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("crossing", [after_a_future, as_a_pool_begins, by_a_pool_of_old, over_a_pool_of_old])
def test_what_another_thread_does_for_a_run_belongs_to_it(crossing: Callable[[Callable[[], None]], None], role: Role, web: Web) -> None:
    def work() -> None:
        httpx.post(web.url + "/elsewhere", json={})

    with running(role) as run:
        crossing(work)
    assert [effect.key for effect in run.effects] == [f"POST {web.url}/elsewhere"]
    assert len(web.hits) == (role is Role.AUTHORITY)


def test_calls_made_inside_of_a_read_are_calls_of_their_own(web: Web) -> None:
    class Token(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            yield request

    def hook(_: httpx.Response) -> None:
        httpx.post(web.url + "/hook", json={})

    with running() as run, httpx.Client(event_hooks={"response": [hook]}, auth=Token()) as client:
        assert client.get(web.url + "/read").status_code == 200
    assert [(effect.key, effect.performed) for effect in run.effects] == [
        (f"GET {web.url}/read", True),
        (f"POST {web.url}/hook", False),
    ]
    assert [hit.path for hit in web.hits] == ["/read"]


def test_a_datagram_endpoint_that_may_send_anywhere_is_refused() -> None:
    async def open_endpoint() -> None:
        await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))

    with running(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, pytest.raises(ShadowRefused, match="datagram"):
        runner.run(open_endpoint())


@pytest.mark.parametrize("mapped", ["::ffff:127.0.0.1", "::1"])
def test_an_address_in_another_form_is_another_address(mapped: str) -> None:
    with running(), socket.socket(socket.AF_INET6) as connection, pytest.raises(ShadowRefused, match="a shadow may not connect"):
        connection.connect_ex((mapped, 9))


@pytest.mark.services
def test_redis_commands_that_read_by_one_word_and_change_by_another(redis_url: str, redis_prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as outside, redis.Redis.from_url(redis_url) as client, client.pubsub() as listening:
        assert outside.script_load("return 1")
        listening.subscribe(f"{redis_prefix}before")
        with running() as run:
            client.script_flush()
            client.client_pause(1)
            client.eval("redis.call('SET', KEYS[1], 1)", 1, f"{redis_prefix}lua")
            client.register_script("redis.call('SET', KEYS[1], 1)")(keys=[f"{redis_prefix}script"])
            listening.subscribe(f"{redis_prefix}more")
            with pytest.raises(ShadowRefused, match="connection that subscribes"):
                listening.execute_command("PUBLISH", f"{redis_prefix}before", "x")
        assert outside.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db") == [True]
        assert not outside.exists(f"{redis_prefix}lua", f"{redis_prefix}script")
    assert [effect.key.split()[0] for effect in run.effects] == ["SCRIPT", "CLIENT", "EVAL", "EVALSHA"]
