"""The flags file: applied when it changes, refused when it is wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dualrun.contracts import Mode
from gateway.core.flags import Flag
from gateway.flags import FileFlagStore, FlagsFile, MemoryFlagStore, RedisFlagStore
from tests.gateway.flags.conftest import PrivateRedis

ONE = "version: 1\nflags:\n  learning.add: {mode: events}\n"
OTHER = "version: 1\nflags:\n  learning.sleep: {mode: events}\n"
BROKEN = "version: 1\nflags:\n  learning.add: {mode: evnts}\n"
ADDED = {"learning.add": Flag(task="learning.add", mode=Mode.EVENTS)}


@asynccontextmanager
async def _watched(path: Path, store: FileFlagStore) -> AsyncIterator[FlagsFile]:
    file = FlagsFile(path, store)
    await file.start()
    try:
        yield file
    finally:
        await file.stop()


async def _until(fact: Callable[[], bool], timeout_s: float = 5.0) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < give_up_at, "did not happen in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "flags.yaml"
    file.write_text(ONE)
    return file


async def test_the_file_is_in_force_when_start_returns(path: Path) -> None:
    store = MemoryFlagStore()
    async with _watched(path, store):
        assert (store.snapshot.flags, store.snapshot.source, store.snapshot.version) == (ADDED, "file", 1)


async def test_an_edit_is_applied(path: Path) -> None:
    store = MemoryFlagStore()
    async with _watched(path, store):
        path.write_text(OTHER)
        await _until(lambda: set(store.snapshot.flags) == {"learning.sleep"})


async def test_a_file_swapped_in_by_rename_is_applied(path: Path) -> None:
    store = MemoryFlagStore()
    async with _watched(path, store):
        fresh = path.with_suffix(".new")
        fresh.write_text(OTHER)
        fresh.replace(path)
        await _until(lambda: set(store.snapshot.flags) == {"learning.sleep"})


async def test_a_file_behind_a_swapped_symlink_is_applied(tmp_path: Path) -> None:
    for name, text in (("v1", ONE), ("v2", OTHER)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "flags.yaml").write_text(text)
    (tmp_path / "mount").mkdir()
    data = tmp_path / "mount" / "..data"
    data.symlink_to(tmp_path / "v1")
    (tmp_path / "mount" / "flags.yaml").symlink_to(Path("..data") / "flags.yaml")
    store = MemoryFlagStore()
    async with _watched(tmp_path / "mount" / "flags.yaml", store):
        fresh = tmp_path / "mount" / "..fresh"
        fresh.symlink_to(tmp_path / "v2")
        fresh.replace(data)
        await _until(lambda: set(store.snapshot.flags) == {"learning.sleep"})


async def test_a_broken_file_is_refused_with_its_line_and_the_last_good_flags_stay(path: Path) -> None:
    store = MemoryFlagStore()
    async with _watched(path, store) as file:
        path.write_text(BROKEN)
        await _until(lambda: file.last_error is not None)
        assert file.last_error is not None
        assert (file.last_error.line, file.last_error.column, file.last_error.pointer) == (3, 24, "/flags/learning.add/mode")
        assert f"{path}:3:24" in str(await file.probe())
        assert store.snapshot.flags == ADDED
        path.write_text(OTHER)
        await _until(lambda: file.last_error is None)
        assert await file.probe() is None
        assert set(store.snapshot.flags) == {"learning.sleep"}


async def test_an_emptied_file_does_not_wipe_the_flags(path: Path) -> None:
    store = MemoryFlagStore()
    async with _watched(path, store) as file:
        path.write_text("")
        await _until(lambda: file.last_error is not None)
        assert store.snapshot.flags == ADDED


async def test_a_file_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    store = MemoryFlagStore()
    path = tmp_path / "later" / "flags.yaml"
    async with _watched(path, store) as file:
        assert file.last_error is not None
        assert file.last_error.line == 0
        path.parent.mkdir()
        path.write_text(ONE)
        await _until(lambda: store.snapshot.flags == ADDED)


@pytest.mark.services
async def test_a_restart_does_not_undo_what_was_changed_at_run_time(path: Path, redis_url: str, redis_prefix: str) -> None:
    for expected_version in (2, 2):
        store = RedisFlagStore(redis_url, redis_prefix)
        await store.start()
        async with _watched(path, store):
            if store.snapshot.version < 2:
                await store.replace({}, expected_version=1, author="ann", reason="back", source="api")
        await store.stop()
        assert (store.snapshot.version, dict(store.snapshot.flags)) == (expected_version, {})


@pytest.mark.services
async def test_of_two_gateways_with_one_file_one_applies_it(path: Path, redis_url: str, redis_prefix: str) -> None:
    stores = [RedisFlagStore(redis_url, redis_prefix) for _ in range(2)]
    files = [FlagsFile(path, store) for store in stores]
    for store in stores:
        await store.start()
    await asyncio.gather(*(file.start() for file in files))
    try:
        await _until(lambda: all(store.snapshot.flags == ADDED for store in stores))
        assert [store.snapshot.version for store in stores] == [1, 1]
        path.write_text(OTHER)
        await _until(lambda: all(set(store.snapshot.flags) == {"learning.sleep"} for store in stores))
        assert [store.snapshot.version for store in stores] == [2, 2]
    finally:
        for file, store in zip(files, stores, strict=True):
            await file.stop()
            await store.stop()


@pytest.mark.services
async def test_a_file_waits_for_a_store_that_is_away(path: Path, private_redis: PrivateRedis) -> None:
    private_redis.stop()
    store = RedisFlagStore(private_redis.url, "t:")
    await store.start()
    async with _watched(path, store):
        assert store.snapshot.version == 0
        private_redis.start()
        await _until(lambda: store.snapshot.flags == ADDED, 10.0)
    await store.stop()
