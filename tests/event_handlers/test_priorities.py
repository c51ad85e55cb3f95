"""Submissions with a priority, on each broker."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from dualrun.broker import Message
from dualrun.contracts import headers_of
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_ROLE, HEADER_SUBMISSION_ID, service_queue
from dualrun.errors import ConfigurationError
from dualrun.settings import WorkerSettings
from event_handlers import handler
from event_handlers.options import parser
from event_handlers.service_topology import service_topology
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes


async def submit(world: World, number: int, priority: int | None) -> str:
    event = world.event({"number": number})
    event = msgspec.structs.replace(event, headers={HEADER_SUBMISSION_ID: event.id, HEADER_ROLE: "authority"})
    body = msgspec.json.encode(event.payload)
    await world.broker.publish(
        EVENTS_EXCHANGE, event.type, Message(body=body, headers=headers_of(event), message_id=event.id, priority=priority)
    )
    return event.id


@pytest.mark.parametrize(("priorities", "expected"), [(True, [0, 3, 2, 1]), (False, [0, 1, 2, 3])])
async def test_what_waits_comes_by_priority_where_the_workers_ask_for_it(world: World, priorities: bool, expected: list[int]) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()
    seen: list[int] = []

    @handler(world.task)
    async def work(number: int) -> None:
        seen.append(number)
        begun.set()
        await may_go_on.wait()

    await world.start(work, concurrency=1, prefetch=1, priorities=priorities)
    ids = [await submit(world, 0, None)]
    await asyncio.wait_for(begun.wait(), 10)
    ids += [await submit(world, number, priority) for number, priority in ((1, None), (2, 5), (3, 9))]
    await becomes(lambda: world.ready(service_queue(world.service)), 3)
    may_go_on.set()
    await world.outcomes(ids)
    assert seen == expected


def test_without_being_asked_the_queue_stays_a_quorum_queue_with_a_delivery_limit() -> None:
    queue = service_topology("shop", ["t"]).queues[0]
    assert (queue.max_priority, queue.delivery_limit) == (None, 5)


@pytest.mark.parametrize(
    ("env", "arguments", "expected"),
    [({}, [], False), ({"DUALRUN_EVENTS_PRIORITIES": "1"}, [], True), ({"DUALRUN_EVENTS_PRIORITIES": "1"}, ["--no-priorities"], False)],
)
def test_priorities_are_off_unless_asked_for(env: dict[str, str], arguments: list[str], expected: bool) -> None:
    assert parser(env, WorkerSettings.from_env(env)).parse_args(arguments).priorities is expected


def test_any_other_word_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match="DUALRUN_EVENTS_PRIORITIES"):
        parser({"DUALRUN_EVENTS_PRIORITIES": "maybe"}, WorkerSettings.from_env({}))
