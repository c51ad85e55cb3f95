from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from dualrun.contracts import Announcement, Mode, Safety, ServedTask, Side
from dualrun.contracts.topology import RECORDS_QUEUE
from gateway.core.errors import (
    DispatchFailed,
    IdempotencyConflict,
    InvalidArguments,
    InvalidOptions,
    UnknownTask,
)
from gateway.core.flags import FULL_SHARE, Flag
from gateway.core.report import SubmissionView
from gateway.core.request import TaskRequest
from gateway.core.targeting import Condition, Operator, Rule
from tests.support.gateway_parts import EVENTS_QUEUE, LEGACY_QUEUE, SHADOW_QUEUE, TASK, MemoryGateway, memory_gateway

GOOD = TaskRequest(task=TASK, args=(42, "ann@example.org"))
SHADOWED = Flag(task=TASK, mode=Mode.SHADOW, shadow_share=FULL_SHARE, safety=Safety.SANDBOXED)


async def set_flag(gateway: MemoryGateway, flag: Flag) -> None:
    await gateway.services.change_flag.set(flag, author="test", reason="", source="api")


async def drained_depths(gateway: MemoryGateway) -> dict[str, int]:
    """After the shadow lane has had its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
    return await gateway.depths()


async def test_without_a_flag_legacy_answers_and_nothing_is_observed() -> None:
    async with memory_gateway() as gateway:
        submitted = await gateway.services.submit.one(GOOD)
        assert submitted.accepted.decision.authority is Side.LEGACY
        assert await drained_depths(gateway) == {LEGACY_QUEUE: 1, RECORDS_QUEUE: 1}


async def test_in_shadow_the_authority_is_published_and_the_shadow_beside_it() -> None:
    async with memory_gateway() as gateway:
        await set_flag(gateway, SHADOWED)
        await gateway.services.submit.one(GOOD)
        assert await drained_depths(gateway) == {LEGACY_QUEUE: 1, SHADOW_QUEUE: 1, RECORDS_QUEUE: 1}


async def test_in_mode_events_only_the_handler_gets_it() -> None:
    async with memory_gateway() as gateway:
        await set_flag(gateway, Flag(task=TASK, mode=Mode.EVENTS))
        await gateway.services.submit.one(GOOD)
        assert await drained_depths(gateway) == {EVENTS_QUEUE: 1, RECORDS_QUEUE: 1}


async def test_a_key_is_what_the_flags_path_finds_else_what_the_caller_gave_else_the_id() -> None:
    async with memory_gateway() as gateway:
        await set_flag(gateway, Flag(task=TASK, mode=Mode.CANARY, events_share=FULL_SHARE // 2, cohort_path="args[1]"))
        buckets = [
            (await gateway.services.submit.one(TaskRequest(task=TASK, args=(number, "ann@example.org"), cohort_key=given))).accepted
            for number, given in ((1, None), (2, "else"), (3, "other"))
        ]
        assert len({(accepted.decision.bucket, accepted.decision.authority) for accepted in buckets}) == 1
        await set_flag(gateway, Flag(task=TASK, cohort_path="headers.x-tenant"))
        for given, header, key in (("given", "acme", "acme"), ("given", None, "given"), (None, None, "id-of-submission")):
            await gateway.comparator.start()
            request = TaskRequest(task=TASK, args=GOOD.args, cohort_key=given)
            accepted = (await gateway.services.submit.one(request, header={"x-tenant": header}.get)).accepted
            view = await recorded(gateway, accepted.id)
            assert view.submission.cohort_key == (accepted.id if key == "id-of-submission" else key)


async def test_rules_look_at_arguments_and_attributes_and_the_record_says_which_held() -> None:
    staff = Rule(name="staff", when=(Condition(path="attributes.tenant", operator=Operator.IN, value=("acme",)),), mode=Mode.EVENTS)
    async with memory_gateway() as gateway:
        await set_flag(gateway, Flag(task=TASK, rules=(staff,)))
        await gateway.comparator.start()
        theirs = (await gateway.services.submit.one(TaskRequest(task=TASK, args=GOOD.args, attributes={"tenant": "acme"}))).accepted
        others = (await gateway.services.submit.one(TaskRequest(task=TASK, args=GOOD.args, attributes={"tenant": "globex"}))).accepted
        assert [one.decision.authority for one in (theirs, others)] == [Side.EVENTS, Side.LEGACY]
        view = await recorded(gateway, theirs.id)
        assert (view.decision.rule, view.submission.attributes) == ("staff", {"tenant": "acme"})


async def recorded(gateway: MemoryGateway, submission_id: str) -> SubmissionView:
    """What the ledger has of it, once the comparator has put it there."""
    view = None
    while view is None:
        await asyncio.sleep(0)
        view = await gateway.ledger.submission(submission_id)
    return view


async def test_an_unknown_task_names_the_nearest_and_publishes_nothing() -> None:
    async with memory_gateway() as gateway:
        with pytest.raises(UnknownTask) as caught:
            await gateway.services.submit.one(TaskRequest(task="order.send_order_confirmaton"))
        assert caught.value.nearest == (TASK,)
        assert await drained_depths(gateway) == {}


@pytest.mark.parametrize(
    ("request_", "pointer"),
    [
        (TaskRequest(task=TASK, args=("42", "ann@example.org")), "/args/0"),
        (TaskRequest(task=TASK, args=(42,), kwargs={"email": 7}), "/kwargs/email"),
        (TaskRequest(task=TASK, args=(42,)), "/kwargs/email"),
        (TaskRequest(task=TASK, args=(42, "a", True, 4)), "/args/3"),
        (TaskRequest(task=TASK, args=(42, "a"), kwargs={"colour": "red"}), "/kwargs/colour"),
    ],
)
async def test_arguments_the_handler_refuses_are_refused_by_name_before_anything_is_published(request_: TaskRequest, pointer: str) -> None:
    async with memory_gateway() as gateway:
        with pytest.raises(InvalidArguments) as caught:
            await gateway.services.submit.one(request_)
        assert pointer in [error.pointer for error in caught.value.errors]
        assert await drained_depths(gateway) == {}


async def test_when_only_the_authority_is_checked_a_shadows_refusal_never_reaches_the_caller() -> None:
    async with memory_gateway(check_arguments="authority") as gateway:
        await set_flag(gateway, SHADOWED)
        await gateway.services.submit.one(TaskRequest(task=TASK, args=("42", "ann@example.org")))
        assert (await drained_depths(gateway))[LEGACY_QUEUE] == 1


async def test_repeating_a_key_runs_the_task_once_and_answers_the_same() -> None:
    async with memory_gateway() as gateway:
        first = await gateway.services.submit.one(GOOD, idempotency_key="k1")
        again = await gateway.services.submit.one(GOOD, idempotency_key="k1")
        assert again.accepted == first.accepted
        assert again.replayed
        assert (await drained_depths(gateway))[LEGACY_QUEUE] == 1


async def test_a_key_used_for_another_request_is_a_conflict() -> None:
    async with memory_gateway() as gateway:
        await gateway.services.submit.one(GOOD, idempotency_key="k1")
        with pytest.raises(IdempotencyConflict):
            await gateway.services.submit.one(TaskRequest(task=TASK, args=(43, "ann@example.org")), idempotency_key="k1")


async def test_a_refused_request_leaves_its_key_free() -> None:
    async with memory_gateway() as gateway:
        with pytest.raises(InvalidArguments):
            await gateway.services.submit.one(TaskRequest(task=TASK, args=(42,)), idempotency_key="k1")
        assert not (await gateway.services.submit.one(GOOD, idempotency_key="k1")).replayed


async def test_many_at_once_with_one_key_publish_once() -> None:
    async with memory_gateway() as gateway:
        answers = await asyncio.gather(
            *(gateway.services.submit.one(GOOD, idempotency_key="k1") for _ in range(20)), return_exceptions=True
        )
        assert sum(not isinstance(answer, IdempotencyConflict) for answer in answers) >= 1
        assert (await drained_depths(gateway))[LEGACY_QUEUE] == 1


async def test_one_bad_item_sinks_no_other() -> None:
    async with memory_gateway() as gateway:
        answers = await gateway.services.submit.many([GOOD, TaskRequest(task="nobody.knows"), TaskRequest(task=TASK, args=(1,)), GOOD])
        assert [type(answer).__name__ for answer in answers] == ["Accepted", "UnknownTask", "InvalidArguments", "Accepted"]
        assert await drained_depths(gateway) == {LEGACY_QUEUE: 2, RECORDS_QUEUE: 1}


async def test_a_queue_nobody_declared_is_the_callers_mistake() -> None:
    async with memory_gateway() as gateway:
        with pytest.raises(InvalidOptions) as caught:
            await gateway.services.submit.one(TaskRequest(task=TASK, args=GOOD.args, queue="nowhere"))
        assert caught.value.errors[0].pointer == "/queue"
        assert await drained_depths(gateway) == {}


async def test_a_side_nobody_serves_is_unavailable_and_publishes_nothing() -> None:
    async with memory_gateway() as gateway:
        gateway.catalogue.announce(legacy_only("nobody.home"))
        flag = Flag(task="nobody.*", mode=Mode.EVENTS)
        # As a flags file, which comes before the workers on a cold start.
        await gateway.flags.replace({flag.task: flag}, expected_version=None, author="flags file", reason="", source="file")
        with pytest.raises(DispatchFailed) as caught:
            await gateway.services.submit.one(TaskRequest(task="nobody.home"))
        assert caught.value.side is Side.EVENTS
        assert not caught.value.maybe_published
        assert await drained_depths(gateway) == {}


async def test_a_full_shadow_queue_never_reaches_the_caller_and_is_counted() -> None:
    async with memory_gateway() as gateway:
        await set_flag(gateway, SHADOWED)
        for _ in range(150):
            await gateway.services.submit.one(GOOD)
        depths = await drained_depths(gateway)
        assert depths[LEGACY_QUEUE] == 150
        assert depths[SHADOW_QUEUE] == 100
        assert b"dualrun_shadow_failed_total 50.0" in gateway.services.metrics.expose()


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"eta": datetime.now(UTC), "countdown": 1.0}, "/countdown"),
        ({"expires": datetime.now(UTC) - timedelta(seconds=1)}, "/expires"),
        ({"countdown": 60.0, "expires": 30.0}, "/expires"),
        ({"eta": datetime.now(UTC) + timedelta(days=400)}, "/eta"),
        ({"eta": datetime.max.replace(tzinfo=UTC)}, "/eta"),
    ],
)
async def test_times_that_contradict_one_another_are_refused_by_name(options: dict[str, object], pointer: str) -> None:
    async with memory_gateway() as gateway:
        with pytest.raises(InvalidOptions) as caught:
            await gateway.services.submit.one(TaskRequest(task=TASK, args=GOOD.args, **options))  # type: ignore[arg-type]
        assert caught.value.errors[0].pointer == pointer
        assert await drained_depths(gateway) == {}


def legacy_only(name: str) -> Announcement:
    return Announcement(worker="w", side=Side.LEGACY, service="s", tasks=(ServedTask(task=name, routing_key=LEGACY_QUEUE),), ttl_s=60)
