"""Work that a flag change moves while it waits: given back by its side, decided again, run once where it belongs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

from dualrun.broadcast import Broadcast
from dualrun.broker import Message
from dualrun.contracts import Announcement, Mode, Side
from dualrun.contracts.topology import HEADER_FLAG_VERSION, REDIRECT_QUEUE, dead_letter_queue
from dualrun.in_force import FlagsInForce
from dualrun.inbox_memory import MemoryInbox
from event_handlers import EventWorker, HandlerRegistry, handler
from event_handlers.definition import handler_of
from gateway.core.flags import Flag
from gateway.core.request import TaskRequest
from gateway.flags.wire import StoredFlags, encode_stored
from tests.support.eventually import becomes
from tests.support.gateway_parts import LEGACY_QUEUE, SHADOW_MAX_LENGTH, TASK, MemoryGateway, memory_gateway


@dataclass(slots=True)
class Handled:
    """What the event handler did, and a gate it waits at."""

    ids: list[str] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def event_worker(gateway: MemoryGateway, handled: Handled, *, concurrency: int = 64) -> AsyncIterator[EventWorker]:
    async def handle(order_id: int, email: str) -> None:
        handled.ids.append(email)
        await handled.may_go_on.wait()

    handles = handler_of(handler(TASK)(handle))
    assert handles is not None
    registry = HandlerRegistry([handles])
    in_force = FlagsInForce(Side.EVENTS)
    gateway.flags.listen(lambda snapshot: in_force.adopt(encode_stored(StoredFlags(snapshot))))
    worker = EventWorker(
        gateway.broker,
        registry,
        service="shop",
        inbox=MemoryInbox(),
        announcer=gateway.catalogue,
        in_force=in_force,
        broadcast=Broadcast(gateway.broker),
        concurrency=concurrency,
        shadow_max_length=SHADOW_MAX_LENGTH,
    )
    await worker.start()
    # The gateway in memory knows of one that is not there.
    gateway.catalogue.withdraw(Announcement(worker="events-1", side=Side.EVENTS, service="shop", tasks=()))
    try:
        yield worker
    finally:
        await worker.stop(0.0)


async def put(gateway: MemoryGateway, mode: Mode, events_share: int = 0) -> int:
    flag = Flag(task=TASK, mode=mode, events_share=events_share)
    return (await gateway.services.change_flag.set(flag, author="a", reason="", source="api")).version


async def submit(gateway: MemoryGateway, number: int, **options: object) -> list[str]:
    requests = [
        TaskRequest(task=TASK, args=(n, f"{n}@example.org"), **options)  # type: ignore[arg-type]  # each test names its own few
        for n in range(number)
    ]
    answers = await gateway.services.submit.many(requests)
    return [answer.id for answer in answers]  # type: ignore[union-attr]


async def in_flight(gateway: MemoryGateway, version: int) -> dict[str, object]:
    counts = await gateway.services.read_in_flight.of(gateway.flags.snapshot, version, wait_s=30.0)
    return msgspec.structs.asdict(counts)


async def test_a_rollback_takes_back_what_waits_and_leaves_what_has_started() -> None:
    handled = Handled()
    async with memory_gateway() as gateway, event_worker(gateway, handled, concurrency=4):
        await put(gateway, Mode.EVENTS)
        await submit(gateway, 50)
        await becomes(lambda: _length(handled.ids), 4)
        rolled_back = await gateway.services.roll_back.task(TASK, to_version=None, author="a", reason="", source="api")
        counts = await in_flight(gateway, rolled_back.snapshot.version)
        assert counts == {"redirected": 46, "scheduled": 0, "started": 4, "kept": 0, "waiting": 0, "workers": 1, "complete": True}
        assert (await gateway.depths())[LEGACY_QUEUE] == 46
        handled.may_go_on.set()


async def test_a_rollback_takes_along_what_waits_for_a_service_without_a_worker() -> None:
    async with memory_gateway() as gateway:
        await put(gateway, Mode.EVENTS)
        gateway.catalogue.withdraw(Announcement(worker="events-1", side=Side.EVENTS, service="shop", tasks=()))
        await submit(gateway, 20)
        await submit(gateway, 3, countdown=3600.0)
        rolled_back = await gateway.services.roll_back.task(TASK, to_version=None, author="a", reason="", source="api")
        version = rolled_back.snapshot.version
        await becomes(lambda: _is_complete(gateway, version), True)
        counts = await in_flight(gateway, version)
        assert (counts["redirected"], counts["scheduled"], counts["waiting"], counts["complete"]) == (20, 3, 0, True)
        assert (await gateway.depths())[LEGACY_QUEUE] == 23


async def test_scheduled_work_is_taken_back_before_its_time() -> None:
    handled = Handled()
    async with memory_gateway() as gateway, event_worker(gateway, handled):
        await put(gateway, Mode.EVENTS)
        await submit(gateway, 5, countdown=3600.0)
        await becomes(lambda: _depth(gateway, "dualrun.events.shop.retry.1800000"), 5)
        version = await put(gateway, Mode.LEGACY)
        counts = await in_flight(gateway, version)
        assert (counts["scheduled"], counts["redirected"], counts["complete"]) == (5, 0, True)
        assert (await gateway.depths())[LEGACY_QUEUE] == 5
    assert handled.ids == []


async def test_a_step_back_keeps_the_keys_that_did_not_move() -> None:
    handled = Handled()
    async with memory_gateway() as gateway:
        await put(gateway, Mode.CANARY, events_share=100_000)
        ids = await submit(gateway, 200)
        version = await put(gateway, Mode.CANARY, events_share=50_000)
        handled.may_go_on.set()
        async with event_worker(gateway, handled):
            counts = await in_flight(gateway, version)
            await becomes(lambda: _length(handled.ids), counts["kept"])
            assert counts["kept"] + counts["redirected"] == len(ids)  # type: ignore[operator]
            assert 50 < counts["kept"] < 150  # type: ignore[operator]


async def test_the_ledger_shows_the_decision_that_counts() -> None:
    handled = Handled()
    async with memory_gateway() as gateway, event_worker(gateway, handled):
        await put(gateway, Mode.EVENTS)
        handled_before = await submit(gateway, 1, countdown=3600.0)
        version = await put(gateway, Mode.LEGACY)
        await in_flight(gateway, version)
        await gateway.comparator.start()

        async def authority() -> Side:
            view = await gateway.ledger.submission(handled_before[0])
            return Side.EVENTS if view is None else view.decision.authority

        await becomes(authority, Side.LEGACY)
        view = await gateway.ledger.submission(handled_before[0])
        assert view is not None
        assert view.redirected is not None
        assert (view.redirected.times, view.redirected.side, view.redirected.decided_under) == (1, Side.EVENTS, version - 1)
        assert view.submission.options.eta is not None


async def test_what_comes_back_unreadable_is_put_aside() -> None:
    async with memory_gateway() as gateway:
        await becomes(lambda: _depth(gateway, REDIRECT_QUEUE), 0)
        await gateway.broker.publish("", REDIRECT_QUEUE, Message(body=b"{}", headers={HEADER_FLAG_VERSION: "1"}))
        await becomes(lambda: _depth(gateway, dead_letter_queue(REDIRECT_QUEUE)), 1)


async def _length(items: list[str]) -> int:
    return len(items)


async def _depth(gateway: MemoryGateway, queue: str) -> int | None:
    depth = await gateway.broker.depth(queue)
    return None if depth is None else depth.ready


async def _is_complete(gateway: MemoryGateway, version: int) -> bool:
    return bool((await in_flight(gateway, version))["complete"])
