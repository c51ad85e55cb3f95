"""One authority and one effect for every submission, whatever happens to flags, workers and deliveries meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.broadcast import Broadcast
from dualrun.broker import Delivery
from dualrun.broker.redirect_topology import REDIRECT_LATER
from dualrun.contracts import Mode, Side
from dualrun.contracts.topology import HEADER_RECALLED_BY, HEADER_SUBMISSION_ID, REDIRECT_QUEUE
from dualrun.in_force import FlagsInForce
from dualrun.inbox_memory import MemoryInbox
from event_handlers import Context, EventWorker, HandlerRegistry, handler
from event_handlers.definition import handler_of
from gateway.core.flags import Flag, FlagSnapshot
from gateway.core.request import TaskRequest
from gateway.flags.wire import StoredFlags, encode_stored
from gateway.usecases.submit_task import Accepted
from legacy_celery.handing_over import HandingOver
from tests.support.crashing import CrashingProcess, ProcessBroker, ProcessInbox, attribute_tasks, outside
from tests.support.eventually import becomes
from tests.support.gateway_parts import EVENTS_QUEUE, LEGACY_QUEUE, SHADOW_MAX_LENGTH, TASK, MemoryGateway, memory_gateway

FLAGS = [
    Flag(task=TASK, mode=mode, events_share=share)
    for mode, share in ((Mode.LEGACY, 0), (Mode.CANARY, 30_000), (Mode.CANARY, 70_000), (Mode.EVENTS, 0))
]
STEPS = st.one_of(
    st.tuples(st.just("flag"), st.sampled_from(FLAGS)),
    st.tuples(st.just("submit"), st.integers(1, 5)),
    st.tuples(st.just("delayed"), st.integers(1, 3)),
    st.tuples(st.just("crash events"), st.none()),
    st.tuples(st.just("crash legacy"), st.none()),
    st.tuples(st.just("let run"), st.integers(1, 20)),
)
LEASE_S = 10.0
MOMENTS = 40


class Both:
    """Both sides at work on one gateway: the real event worker, and a legacy worker that asks as Celery's does.

    A worker of either side crashes for good: what it had not acknowledged is given out again, and its leases run out before another comes.
    """

    def __init__(self, gateway: MemoryGateway) -> None:
        self.gateway = gateway
        self.effects: Counter[tuple[str, Side]] = Counter()
        self.cut: set[str] = set()
        """Submissions whose effect was there when a worker crashed that had not said so: they may have it twice, on that side."""
        self._unsaid: set[str] = set()
        self._passed_s = 0.0
        self._inbox = MemoryInbox(lease_s=LEASE_S, settled_keep_s=3_600.0, clock=lambda: time.monotonic() + self._passed_s)
        self._processes: dict[Side, CrashingProcess] = {}

    async def start(self) -> None:
        for side in Side:
            await self.start_worker(side)

    async def start_worker(self, side: Side) -> None:
        process = self._processes[side] = CrashingProcess()
        await process.start(self._events(process) if side is Side.EVENTS else self._legacy(process))

    async def crash(self, side: Side) -> None:
        await self._processes[side].crash()
        self.cut |= self._unsaid
        self._unsaid.clear()
        self._passed_s += 2 * LEASE_S
        await self.start_worker(side)

    async def is_settled(self) -> bool:
        depths = [await self.gateway.broker.depth(name) for name in (EVENTS_QUEUE, LEGACY_QUEUE, REDIRECT_QUEUE, REDIRECT_LATER)]
        is_idle = all(process.is_idle for process in self._processes.values())
        return is_idle and not any(depth.ready for depth in depths if depth is not None)

    async def stop(self) -> None:
        for process in self._processes.values():
            await process.crash()

    def _in_force(self, process: CrashingProcess, side: Side) -> FlagsInForce:
        in_force, context = FlagsInForce(side), copy_context()

        def changed(snapshot: FlagSnapshot) -> None:
            if not process.is_dead:
                context.copy().run(in_force.adopt, encode_stored(StoredFlags(snapshot)))

        self.gateway.flags.listen(changed)
        return in_force

    def _effect(self, process: CrashingProcess, submission_id: str, side: Side) -> None:
        if not process.is_dead:
            self.effects[submission_id, side] += 1
            self._unsaid.add(submission_id)

    def _said(self, claim: str) -> None:
        self._unsaid = {id_ for id_ in self._unsaid if id_ not in claim}

    async def _events(self, process: CrashingProcess) -> None:
        async def handle(order_id: int, email: str, *, ctx: Context) -> None:
            await asyncio.sleep(0)
            self._effect(process, str(ctx.submission_id), Side.EVENTS)
            await asyncio.sleep(0)

        handles = handler_of(handler(TASK)(handle))
        assert handles is not None
        broker = ProcessBroker(process, self.gateway.broker)
        worker = EventWorker(
            broker,
            HandlerRegistry([handles]),
            service="shop",
            inbox=ProcessInbox(process, self._inbox, self._said),
            in_force=self._in_force(process, Side.EVENTS),
            broadcast=Broadcast(broker),
            concurrency=2,
            shadow_max_length=SHADOW_MAX_LENGTH,
        )
        await worker.start()

    async def _legacy(self, process: CrashingProcess) -> None:
        handing_over = HandingOver(self._in_force(process, Side.LEGACY), lambda _: None)

        def take(delivery: Delivery) -> None:
            asyncio.get_running_loop().create_task(run(delivery))

        async def run(delivery: Delivery) -> None:
            message = delivery.message
            await asyncio.sleep(0)
            version = handing_over.recalled_by(message.headers, redelivered=delivery.redelivered)
            if version and not process.is_dead:
                # As one step: what is between the two is a limit that docs/rollback.md names.
                returned = replace(message, headers={**message.headers, HEADER_RECALLED_BY: str(version)})
                with outside():
                    await self.gateway.broker.publish("", REDIRECT_QUEUE, returned)
                return delivery.ack()
            self._effect(process, str(message.headers[HEADER_SUBMISSION_ID]), Side.LEGACY)
            await asyncio.sleep(0)
            if not process.is_dead:
                self._unsaid.discard(str(message.headers[HEADER_SUBMISSION_ID]))
            return delivery.ack()

        await ProcessBroker(process, self.gateway.broker).consume(LEGACY_QUEUE, take, prefetch=3)

    async def step(self, kind: str, value: object) -> Sequence[str]:
        gateway = self.gateway
        if kind == "flag":
            assert isinstance(value, Flag)
            await gateway.services.change_flag.set(value, author="a", reason="", source="api")
        elif kind in {"submit", "delayed"}:
            countdown = 0.15 if kind == "delayed" else None
            request = TaskRequest(task=TASK, args=(1, "ann@example.org"), countdown=countdown)
            assert isinstance(value, int)
            answers = await gateway.services.submit.many([request] * value)
            assert all(isinstance(answer, Accepted) for answer in answers)
            return [answer.id for answer in answers if isinstance(answer, Accepted)]
        elif kind == "settle":
            await becomes(self.is_settled, True)
        elif kind.startswith("crash "):
            await self.crash(Side(kind.removeprefix("crash ")))
        else:
            assert isinstance(value, int)
            for _ in range(value):
                await asyncio.sleep(0)
        return []


async def play(steps: Sequence[tuple[str, object]]) -> None:
    attribute_tasks()
    async with memory_gateway() as gateway:
        both = Both(gateway)
        await both.start()
        await gateway.comparator.start()
        submitted: list[str] = []
        for kind, value in steps:
            submitted += await both.step(kind, value)

        async def not_run() -> set[str]:
            return set(submitted) - {id_ for id_, _ in both.effects}

        await becomes(not_run, set())

        await becomes(both.is_settled, True)

        async def authorities() -> dict[str, Side | None]:
            views = {id_: await gateway.ledger.submission(id_) for id_ in submitted}
            return {id_: None if view is None else view.decision.authority for id_, view in views.items()}

        # One side each, which is the authority on record ...
        assert len(both.effects) == len(submitted)
        await becomes(authorities, dict(both.effects.keys()))
        # ... and one effect each, but for those that a crash cut off from saying so: those may be repeated, where they were.
        assert {id_ for (id_, _), n in both.effects.items() if n > 1} <= both.cut
        await both.stop()


@settings(deadline=None, max_examples=20)
@given(st.lists(STEPS, min_size=2, max_size=12))
def test_every_submission_has_one_authority_and_one_effect(steps: list[tuple[str, object]]) -> None:
    asyncio.run(play(steps))


@pytest.mark.parametrize("side", Side)
def test_a_worker_may_crash_at_any_step_of_giving_back_its_work(side: Side) -> None:
    here, away = (FLAGS[-1], FLAGS[0]) if side is Side.EVENTS else (FLAGS[0], FLAGS[-1])
    steps: list[tuple[str, object]] = []
    for moment in range(MOMENTS):
        steps += [("flag", here), ("submit", 4), ("let run", 1 + moment % 7)]
        # What is in hand at one crash after the other ends as a poison message.
        steps += [("flag", away), ("let run", moment), (f"crash {side.value}", None), ("settle", None)]
    asyncio.run(play(steps))
