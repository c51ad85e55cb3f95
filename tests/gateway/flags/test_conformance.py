"""What every flag store promises, run against each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dualrun.contracts import Mode, Safety
from gateway.core.errors import FlagConflict
from gateway.core.flags import Flag
from gateway.flags import FileFlagStore, MemoryFlagStore, RedisFlagStore

MOVED = Flag(task="cart.merge_carts", mode=Mode.EVENTS)
EVERY_MEMBER = Flag(
    task="order.*", mode=Mode.CANARY, events_share=1, shadow_share=100_000, safety=Safety.SANDBOXED, salt="again", hash_version=1
)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FileFlagStore]:
    made: MemoryFlagStore | RedisFlagStore = MemoryFlagStore()
    if request.param == "redis":
        made = RedisFlagStore(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"))
    await made.start()
    yield made
    await made.stop()


async def _put(store: FileFlagStore, *flags: Flag, expected: int | None = None) -> int:
    snapshot = await store.replace(
        {flag.task: flag for flag in flags}, expected_version=expected, author="ann", reason="because", source="api"
    )
    return snapshot.version


async def test_a_new_store_has_version_0_and_no_flags(store: FileFlagStore) -> None:
    assert (store.snapshot.version, dict(store.snapshot.flags), store.file_hash) == (0, {}, None)


async def test_what_replace_gives_is_in_force_when_it_returns(store: FileFlagStore) -> None:
    given = await store.replace({MOVED.task: MOVED}, expected_version=0, author="ann", reason="because", source="api")
    assert given == store.snapshot
    assert (given.version, given.author, given.reason, given.source) == (1, "ann", "because", "api")
    assert given.changed_at.tzinfo is not None


async def test_every_member_of_a_flag_is_kept(store: FileFlagStore) -> None:
    await _put(store, EVERY_MEMBER, MOVED)
    assert dict(store.snapshot.flags) == {"order.*": EVERY_MEMBER, MOVED.task: MOVED}


async def test_replace_leaves_only_the_flags_it_was_given(store: FileFlagStore) -> None:
    await _put(store, EVERY_MEMBER)
    await _put(store, MOVED)
    assert set(store.snapshot.flags) == {MOVED.task}


async def test_versions_go_up_by_one(store: FileFlagStore) -> None:
    assert [await _put(store, MOVED) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("expected", [0, 2, 99])
async def test_a_stale_version_conflicts_and_changes_nothing(store: FileFlagStore, expected: int) -> None:
    await _put(store, MOVED)
    with pytest.raises(FlagConflict) as caught:
        await _put(store, EVERY_MEMBER, expected=expected)
    assert caught.value.current_version == 1
    assert set(store.snapshot.flags) == {MOVED.task}


async def test_of_two_writers_at_once_one_gets_a_conflict(store: FileFlagStore) -> None:
    results = await asyncio.gather(_put(store, MOVED, expected=0), _put(store, EVERY_MEMBER, expected=0), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["FlagConflict", "int"]
    assert store.snapshot.version == 1


async def test_without_an_expected_version_every_writer_gets_a_version(store: FileFlagStore) -> None:
    versions = await asyncio.gather(*(_put(store, MOVED) for _ in range(8)))
    assert sorted(versions) == list(range(1, 9))


async def test_a_snapshot_taken_before_a_change_stays_as_it_was(store: FileFlagStore) -> None:
    await _put(store, MOVED)
    before = store.snapshot
    await _put(store, EVERY_MEMBER)
    assert (before.version, set(before.flags)) == (1, {MOVED.task})


async def test_the_same_file_content_is_applied_once(store: FileFlagStore) -> None:
    first = await store.replace_from_file({MOVED.task: MOVED}, file_hash="one", author="file", reason="flags.yaml")
    await _put(store, EVERY_MEMBER)
    again = await store.replace_from_file({MOVED.task: MOVED}, file_hash="one", author="file", reason="flags.yaml")
    assert (first.version, first.source, again.version) == (1, "file", 2)
    assert set(store.snapshot.flags) == {"order.*"}
    assert store.file_hash == "one"


async def test_another_file_content_is_the_whole_truth(store: FileFlagStore) -> None:
    await store.replace_from_file({MOVED.task: MOVED}, file_hash="one", author="file", reason="flags.yaml")
    await store.replace_from_file({"order.*": EVERY_MEMBER}, file_hash="two", author="file", reason="flags.yaml")
    assert set(store.snapshot.flags) == {"order.*"}


async def test_history_is_newest_first_and_goes_on_below_a_version(store: FileFlagStore) -> None:
    for _ in range(60):
        await _put(store, MOVED)
    await store.replace_from_file({"order.*": EVERY_MEMBER}, file_hash="one", author="file", reason="flags.yaml")
    newest = await store.history(limit=2)
    assert [(kept.version, kept.author, kept.reason, kept.source) for kept in newest] == [
        (61, "file", "flags.yaml", "file"),
        (60, "ann", "because", "api"),
    ]
    assert newest[0] == store.snapshot
    assert [kept.version for kept in await store.history(before=60, limit=55)] == list(range(59, 4, -1))
    assert [kept.version for kept in await store.history(before=2)] == [1]
    assert await store.history(before=1) == []
