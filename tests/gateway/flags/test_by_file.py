"""Flags that only the file may change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from dualrun.contracts import Mode
from gateway.core.flags import Flag, FlagSnapshot
from gateway.flags import FlagsFile, MemoryFlagStore, RedisFlagStore
from gateway.settings import Settings
from tests.gateway.flags.conftest import PrivateRedis

EVENTS = "version: 1\nflags:\n  learning.add: {mode: events}\n"
LEGACY = "version: 1\nflags:\n  learning.add: {mode: legacy}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "flags.yaml"
    file.write_text(EVENTS)
    return file


@asynccontextmanager
async def _gateway(url: str, path: Path) -> AsyncIterator[RedisFlagStore]:
    store = RedisFlagStore(url, "t:")
    file = FlagsFile(path, store, alone=True)
    await store.start()
    await file.start()
    try:
        yield store
    finally:
        await file.stop()
        await store.stop()


async def _until(fact: Callable[[], bool], timeout_s: float = 8.0) -> None:
    give_up_at = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < give_up_at, "did not happen in time"
        await asyncio.sleep(0.005)


def _mode(store: RedisFlagStore) -> Mode:
    return store.snapshot.flags["learning.add"].mode


def _modes(snapshot: FlagSnapshot) -> list[str]:
    return [flag.mode.value for _, flag in sorted(snapshot.flags.items())]


@pytest.mark.services
async def test_an_edit_rolls_back_every_gateway_while_redis_is_away_and_stays_when_it_is_back(
    private_redis: PrivateRedis, path: Path
) -> None:
    async with _gateway(private_redis.url, path) as one, _gateway(private_redis.url, path) as two:
        await _until(lambda: one.snapshot == two.snapshot)
        private_redis.stop()
        path.write_text(LEGACY)
        await _until(lambda: _mode(one) is _mode(two) is Mode.LEGACY)
        private_redis.start()
        await _until(lambda: one.snapshot == two.snapshot and one.snapshot.version > 2)
        async with _gateway(private_redis.url, path) as three:
            await _until(lambda: three.snapshot == one.snapshot)
            assert _mode(three) is Mode.LEGACY


@pytest.mark.services
async def test_two_edits_while_redis_is_away_end_with_the_last(private_redis: PrivateRedis, path: Path) -> None:
    async with _gateway(private_redis.url, path) as store:
        private_redis.stop()
        path.write_text(LEGACY)
        await _until(lambda: _mode(store) is Mode.LEGACY)
        path.write_text(EVENTS + "  learning.flaky: {mode: legacy}\n")
        await _until(lambda: _mode(store) is Mode.EVENTS)
        private_redis.start()
        await store.latest()
        assert (_mode(store), len(store.snapshot.flags)) == (Mode.EVENTS, 2)
        assert [_modes(kept) for kept in await store.history()][:2] == [["events", "legacy"], ["legacy"]]


async def test_flags_changed_before_the_file_was_alone_are_the_files_again(path: Path) -> None:
    store = MemoryFlagStore()
    file = FlagsFile(path, store)
    await file.apply()
    await store.replace({"x": Flag(task="x")}, expected_version=None, author="ann", reason="", source="api")
    await FlagsFile(path, store).apply()
    assert set(store.snapshot.flags) == {"x"}
    await FlagsFile(path, store, alone=True).apply()
    assert (set(store.snapshot.flags), store.snapshot.version, store.snapshot.source) == ({"learning.add"}, 3, "file")


def test_the_file_has_to_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUALRUN_FLAGS_MODE", "file")
    with pytest.raises(ValidationError, match="DUALRUN_FLAGS_FILE"):
        Settings(flags_file=None)
