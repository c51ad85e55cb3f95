"""What becomes of events whose message comes twice, on each broker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from dualrun.broker import Message
from dualrun.contracts import Event, Outcome, Role, State, headers_of
from dualrun.contracts.topology import EVENTS_EXCHANGE, HEADER_EXPIRES, dead_letter_queue, service_queue
from dualrun.inbox import Change, Claim, ClaimRequest, InboxUnavailable, Verb
from dualrun.inbox_memory import MemoryInbox
from event_handlers import EventBus, Policy, Retry, handler
from event_handlers.claiming import ClaimDesk
from event_handlers.publisher import EventPublisher
from gateway.dispatch.dead_letters import BrokerDeadLetters
from tests.event_handlers.conftest import World
from tests.support.eventually import becomes


class FailingInbox(MemoryInbox):
    """An inbox that can be out of reach."""

    is_away = False

    async def claim(self, requests: Sequence[ClaimRequest]) -> Sequence[Claim]:
        self._check()
        return await super().claim(requests)

    async def change(self, changes: Sequence[Change]) -> None:
        self._check()
        await super().change(changes)

    def _check(self) -> None:
        if self.is_away:
            raise InboxUnavailable("away")


async def submit_as(world: World, submission_id: str, headers: dict[str, str] | None = None) -> None:
    """The same submission, whatever number of times."""
    event = msgspec.structs.replace(world.event({}), id=submission_id)
    named = {"dualrun-submission-id": submission_id, "dualrun-role": Role.AUTHORITY.value, **(headers or {})}
    await world.send(msgspec.structs.replace(event, headers=named))


async def test_a_completed_submission_is_not_run_again(world: World) -> None:
    ran: list[int] = []

    @handler(world.task)
    async def work() -> int:
        ran.append(1)
        return len(ran)

    worker = await world.start(work, inbox=MemoryInbox())
    await submit_as(world, "s-1")
    assert (await world.outcome("s-1")).value == 1
    await submit_as(world, "s-1")
    await becomes(lambda: _count(worker.counts(Role.AUTHORITY)["repeated"]), 1)
    assert ran == [1]


async def test_one_that_was_completed_but_not_recorded_has_its_stored_outcome_sent(world: World) -> None:
    inbox = MemoryInbox()
    gone = asyncio.Event()

    class LostOnTheWay:
        async def append(self, outcomes: Sequence[Outcome]) -> None:
            gone.set()
            await asyncio.Event().wait()

    @handler(world.task)
    async def work() -> str:
        assert not gone.is_set()
        return "once"

    first = await world.start(work, inbox=inbox, sink=LostOnTheWay())
    submission_id = await world.submit({})
    await gone.wait()
    await first.stop(1.0, record_s=0.0)
    second = await world.start(work, inbox=inbox)
    outcome = await world.outcome(submission_id)
    assert (outcome.state, outcome.value) == (State.SUCCEEDED, "once")
    assert second.counts(Role.AUTHORITY) == {"repeated": 1}


async def test_one_that_another_runs_is_parked_and_answered_by_its_outcome_without_counting_as_an_attempt(world: World) -> None:
    go_on = asyncio.Event()
    ran: list[int] = []

    @handler(world.task)
    async def work() -> int:
        ran.append(1)
        await go_on.wait()
        return 7

    worker = await world.start(work, inbox=MemoryInbox(lease_s=0.6))
    await submit_as(world, "s-1")
    await submit_as(world, "s-1")
    # Longer than the lease: it is renewed while the handler runs.
    await becomes(lambda: _at_least(worker.counts(Role.AUTHORITY)["held"], 3), True)
    go_on.set()
    outcome = await world.outcome("s-1")
    await becomes(lambda: _count(worker.counts(Role.AUTHORITY)["repeated"]), 1)
    assert (ran, outcome.value, outcome.attempts) == ([1], 7, 1)


async def test_a_claim_whose_holder_died_is_taken_over(world: World) -> None:
    inbox = MemoryInbox(lease_s=0.3)
    await inbox.claim([ClaimRequest(f"{service_queue(world.service)}:s-1", "dead", 1)])

    @handler(world.task)
    async def work() -> int:
        return 1

    await world.start(work, inbox=inbox)
    await submit_as(world, "s-1")
    assert (await world.outcome("s-1")).attempts == 1


async def test_each_attempt_is_claimed_by_itself_and_an_earlier_one_that_comes_again_is_dropped(world: World) -> None:
    attempts: list[int] = []

    @handler(world.task, max_attempts=3, retry_delay_s=0.25)
    async def work() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise Retry
        return len(attempts)

    worker = await world.start(work, inbox=MemoryInbox())
    await submit_as(world, "s-1")
    await becomes(lambda: _count(worker.counts(Role.AUTHORITY)["retried"]), 1)
    await submit_as(world, "s-1")
    await becomes(lambda: _count(worker.counts(Role.AUTHORITY)["superseded"]), 1)
    assert (await world.outcome("s-1")).attempts == 3


async def test_one_put_back_at_the_end_of_the_drain_is_free_for_the_next_worker(world: World) -> None:
    begun = asyncio.Event()
    inbox = MemoryInbox(lease_s=3600.0)
    seconds = [60.0, 0.0]

    @handler(world.task)
    async def work() -> int:
        begun.set()
        await asyncio.sleep(seconds.pop(0))
        return 1

    first = await world.start(work, inbox=inbox)
    submission_id = await world.submit({})
    await begun.wait()
    await first.stop(0.0)
    await world.start(work, inbox=inbox)
    assert (await world.outcome(submission_id)).state is State.SUCCEEDED


async def test_one_that_expired_unrun_says_so_and_one_that_ran_keeps_its_outcome(world: World) -> None:
    @handler(world.task)
    async def work() -> int:
        return 1

    inbox = MemoryInbox()
    await world.start(work, inbox=inbox)
    past = {HEADER_EXPIRES: "2020-01-01T00:00:00+00:00"}
    await submit_as(world, "s-1", past)
    assert (await world.outcome("s-1")).state is State.EXPIRED
    await submit_as(world, "s-2")
    assert (await world.outcome("s-2")).state is State.SUCCEEDED
    await submit_as(world, "s-2", past)
    await submit_as(world, "s-3")
    await world.outcome("s-3")
    assert not world.has_outcome("s-2")


async def test_with_the_inbox_away_events_run_unclaimed_unless_the_handler_would_wait(world: World) -> None:
    inbox = FailingInbox()
    inbox.is_away = True
    waited: list[str] = []

    @handler(world.task)
    async def run() -> str:
        return "ran"

    @handler(f"{world.task}.careful", on_inbox_away="wait")
    async def careful() -> str:
        waited.append("ran")
        return "waited"

    worker = await world.start(run, careful, inbox=inbox)
    parked = await world.submit({}, task=f"{world.task}.careful")
    assert (await world.outcome(await world.submit({}))).value == "ran"
    await becomes(lambda: _at_least(worker.counts(Role.AUTHORITY)["parked"], 1), True)
    assert (worker.counts(Role.AUTHORITY)["unclaimed"], waited) == (1, [])
    inbox.is_away = False
    outcome = await world.outcome(parked)
    assert (outcome.value, outcome.attempts) == ("waited", 1)


@pytest.mark.parametrize("choice", ["run", "wait"])
async def test_an_inbox_lost_during_the_run_is_waited_for_where_the_handler_asks(world: World, choice: str) -> None:
    inbox = FailingInbox()

    @handler(world.task, on_inbox_away="wait" if choice == "wait" else "run")
    async def work() -> int:
        inbox.is_away = True
        return 1

    await world.start(work, inbox=inbox)
    submission_id = await world.submit({})
    if choice == "wait":
        await becomes(lambda: _count(inbox.is_away), True)
        await asyncio.sleep(0.3)
        assert not world.has_outcome(submission_id)
        inbox.is_away = False
    assert (await world.outcome(submission_id)).value == 1


async def test_the_bus_handles_an_event_once_for_each_queue(world: World) -> None:
    seen: list[str] = []
    bus = EventBus(world.broker, world.service, inbox=MemoryInbox())

    async def send_mail(event: Event) -> None:
        seen.append(f"mail {event.id}")

    async def count(event: Event) -> None:
        seen.append(f"metrics {event.id}")

    await bus.subscribe([world.task], send_mail, queue=f"{world.service}.mail")
    await bus.subscribe([world.task], count, queue=f"{world.service}.metrics")
    await bus.start()
    event = world.event({})
    for _ in range(2):
        await world.send(event)
    last = world.event({})
    await world.send(last)
    await becomes(lambda: _count(len([line for line in seen if last.id in line])), 2)
    await bus.stop(5.0)
    assert sorted(seen) == sorted(f"{name} {which.id}" for name in ("mail", "metrics") for which in (event, last))


async def test_an_event_that_was_put_aside_can_be_sent_again(world: World) -> None:
    failures = [ValueError("first")]
    handled = asyncio.Event()

    async def work(_: Event) -> None:
        if failures:
            raise failures.pop()
        handled.set()

    inbox = MemoryInbox()
    bus = EventBus(world.broker, world.service, inbox=inbox)
    name = f"{world.service}.work"
    await bus.subscribe([world.task], work, queue=name, policy=Policy())
    await bus.start()
    event = world.event({})
    message = Message(body=b"{}", headers=headers_of(event), message_id=event.id)
    await world.broker.publish(EVENTS_EXCHANGE, event.type, message)
    await becomes(lambda: world.ready(dead_letter_queue(f"dualrun.events.{name}")), 1)
    await becomes(lambda: _count(len(inbox._entries)), 0)
    await world.broker.publish(EVENTS_EXCHANGE, event.type, message)
    async with asyncio.timeout(30):
        await handled.wait()
    await bus.stop(5.0)


async def _count(value: object) -> object:
    return value


async def _at_least(value: int, least: int) -> bool:
    return value >= least


async def test_how_long_the_inbox_is_away_counts_from_its_first_silence_to_its_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, inbox = [100.0], FailingInbox()
    desk = ClaimDesk(inbox, "queue")
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now_s[0])
    assert desk.away_s == 0.0
    inbox.is_away = True
    for passed_s in (0.0, 2.0, 7.0):
        now_s[0] = 100.0 + passed_s
        assert (await desk.claim("e", 1)).claim is None
        assert desk.away_s == passed_s
    inbox.is_away = False
    now_s[0] = 120.0
    assert (await desk.claim("e", 1)).claim is not None
    assert desk.away_s == 0.0


async def test_events_of_two_sources_with_one_id_are_two_events_and_what_one_source_repeats_is_one(world: World) -> None:
    seen: list[str] = []

    async def work(event: Event) -> None:
        seen.append(event.source)

    bus = EventBus(world.broker, world.service, inbox=MemoryInbox())
    await bus.subscribe([world.task], work, queue=world.service)
    await bus.start()
    for source in ("/crm", "/shop", "/crm", "/last"):
        await EventPublisher(world.broker, source).publish(world.task, {}, event_id="42")
    await becomes(lambda: _count("/last" in seen), True)
    await bus.stop(5.0)
    assert sorted(seen) == ["/crm", "/last", "/shop"]


async def test_a_submission_is_the_same_whatever_source_sends_it_again(world: World) -> None:
    ran: list[int] = []

    @handler(world.task)
    async def work() -> int:
        ran.append(1)
        return 1

    worker = await world.start(work, inbox=MemoryInbox())
    for source in ("/gateway", "/another"):
        event = msgspec.structs.replace(world.event({}), id="s-1", source=source)
        named = {"dualrun-submission-id": "s-1", "dualrun-role": Role.AUTHORITY.value}
        await world.send(msgspec.structs.replace(event, headers=named))
        await world.outcome("s-1") if source == "/gateway" else None
    await becomes(lambda: _count(worker.counts(Role.AUTHORITY)["repeated"]), 1)
    assert ran == [1]


@pytest.mark.parametrize("failures", [1, 2])
async def test_a_dead_letter_is_replayed_though_the_inbox_was_lost_before_it_could_forget_it(world: World, failures: int) -> None:
    attempts: list[int] = []
    handled = asyncio.Event()

    class Forgetless(MemoryInbox):
        async def change(self, changes: Sequence[Change]) -> None:
            if any(change.verb is Verb.FORGET for change in changes):
                raise InboxUnavailable("away")
            await super().change(changes)

    async def work(_: Event) -> None:
        attempts.append(1)
        if len(attempts) <= failures:
            raise ValueError("not yet")
        handled.set()

    bus = EventBus(world.broker, world.service, inbox=Forgetless())
    await bus.subscribe([world.task], work, queue=world.service)
    await bus.start()
    await world.send(world.event({}))
    queue = service_queue(world.service)
    replays = BrokerDeadLetters(world.broker)
    for _ in range(failures):
        await becomes(lambda: world.ready(dead_letter_queue(queue)), 1)
        letters = await replays.read(queue)
        assert letters is not None
        assert len(await replays.replay(queue, [letter.id for letter in letters])) == 1
    async with asyncio.timeout(30):
        await handled.wait()
    await bus.stop(5.0)
    assert len(attempts) == failures + 1


async def test_a_late_copy_of_what_was_put_aside_is_not_handled_again_by_itself(world: World) -> None:
    attempts: list[int] = []

    class Forgetless(MemoryInbox):
        async def change(self, changes: Sequence[Change]) -> None:
            await super().change([change for change in changes if change.verb is not Verb.FORGET])

    async def work(_: Event) -> None:
        attempts.append(1)
        raise ValueError("no")

    bus = EventBus(world.broker, world.service, inbox=Forgetless())
    await bus.subscribe([world.task], work, queue=world.service)
    await bus.start()
    event = world.event({})
    await world.send(event)
    await becomes(lambda: world.ready(dead_letter_queue(service_queue(world.service))), 1)
    await world.send(event)
    await becomes(lambda: world.ready(dead_letter_queue(service_queue(world.service))), 2)
    await bus.stop(5.0)
    assert attempts == [1]
