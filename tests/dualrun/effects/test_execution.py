"""What belongs to an execution, and what an effect keeps."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from dualrun.contracts import Role, Side
from dualrun.effects import Execution, current_execution, effect, execution
from dualrun.effects.execution import EFFECTS_MAX, PAYLOAD_MAX_BYTES


def run_as(role: Role) -> Execution:
    return Execution(role=role, side=Side.EVENTS, submission_id="s", task="t")


def test_outside_an_execution_everything_is_performed_and_nothing_kept() -> None:
    assert current_execution() is None
    assert effect("sql", "orders", {"id": 1})


async def test_effects_of_one_key_made_by_several_tasks_or_threads_have_no_order_and_say_so() -> None:
    async def call(key: str) -> None:
        effect("http", key)

    with execution(role=Role.AUTHORITY, side=Side.EVENTS, submission_id="s", task="t") as run:
        effect("http", "one by one")
        await call("one by one")
        await asyncio.gather(call("gathered"), call("gathered"))
        for _ in range(2):
            await asyncio.gather(asyncio.to_thread(effect, "http", "threads"), call("threads"))
    assert {one.key: one.concurrent for one in run.effects} == {"one by one": False, "gathered": True, "threads": True}


def test_an_authority_performs_and_a_shadow_does_not() -> None:
    for role in Role:
        with execution(role=role, side=Side.LEGACY, submission_id="s", task="t") as run:
            assert effect("sql", "orders", {"id": 1}) is (role is Role.AUTHORITY)
        assert [(e.kind, e.key, e.payload, e.performed) for e in run.effects] == [("sql", "orders", {"id": 1}, role is Role.AUTHORITY)]
    assert current_execution() is None


async def test_effects_of_awaits_tasks_and_threads_belong_to_the_execution() -> None:
    async def cause(key: str) -> None:
        await asyncio.sleep(0)
        effect("cache", key)

    async def one(name: str) -> Execution:
        with execution(role=Role.AUTHORITY, side=Side.EVENTS, submission_id=name, task="t") as run:
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(cause(f"{name}-{number}"))
            await asyncio.to_thread(effect, "cache", f"{name}-thread")
        return run

    runs = await asyncio.gather(one("a"), one("b"))
    for name, run in zip("ab", runs, strict=True):
        assert {e.key for e in run.effects} == {*(f"{name}-{number}" for number in range(5)), f"{name}-thread"}


def test_effects_beyond_the_bound_are_counted_and_still_held_back() -> None:
    with execution(role=Role.SHADOW, side=Side.EVENTS, submission_id="s", task="t") as run:
        answers = {effect("cache", str(number)) for number in range(EFFECTS_MAX + 5)}
    assert (len(run.effects), run.effects_dropped, answers) == (EFFECTS_MAX, 5, {False})


def test_a_payload_is_a_copy() -> None:
    payload = {"items": [1]}
    run = run_as(Role.AUTHORITY)
    run.note("sql", "k", payload, performed=True)
    payload["items"].append(2)
    assert run.effects[0].payload == {"items": [1]}


def test_a_payload_of_python_objects_becomes_json() -> None:
    run = run_as(Role.AUTHORITY)
    payload = {"at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "id": uuid.UUID(int=1), "sum": Decimal("1.5"), "odd": {1: object}}
    run.note("sql", "k", payload, performed=True)
    assert run.effects[0].payload == {
        "at": "2026-01-01T00:00:00Z",
        "id": str(uuid.UUID(int=1)),
        "sum": "1.5",
        "odd": {"1": "<class 'object'>"},
    }


@given(st.integers(PAYLOAD_MAX_BYTES, PAYLOAD_MAX_BYTES + 100))
def test_a_large_payload_is_known_by_its_hash(length: int) -> None:
    run = run_as(Role.AUTHORITY)
    for text in ("a" * length, "a" * length, "b" * length):
        run.note("sql", "k", {"text": text}, performed=True)
    one, same, other = (e.payload for e in run.effects)
    assert isinstance(one, dict)
    assert one["truncated"] is True
    assert one == same
    assert one != other
