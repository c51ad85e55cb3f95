"""Both cancellers: what they ask of a side is what its workers act on."""

from __future__ import annotations

import queue
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from dualrun.contracts import Decision, Mode, Options, Outcome, Reason, Role, ServedTask, Side, State, Submission, Work
from dualrun.inbox import ClaimRequest, ClaimState, Inbox
from dualrun.inbox_memory import MemoryInbox
from dualrun.inbox_redis import RedisInbox
from gateway.core.cancellation import Cancellation
from gateway.core.errors import CancelFailed
from gateway.dispatch.celery_canceller import CeleryCanceller, app_for_control
from gateway.dispatch.celery_memory import CeleryMemoryDispatcher
from gateway.dispatch.celery_message import shadow_task_id
from gateway.dispatch.events_canceller import EventsCanceller
from legacy_celery import capture
from tests.support.eventually import becomes

TASK = "math.double"
SERVED = ServedTask(task=TASK, service="shop")


def a_submission(id_: str, eta: datetime | None = None) -> Submission:
    return Submission(id=id_, task=TASK, args=(2,), options=Options(eta=eta), cohort_key="k", submitted_at=datetime.now(UTC))


def a_cancellation(
    id_: str = "s-1",
    *,
    role: Role = Role.AUTHORITY,
    redirects: int = 0,
    shadowed: bool = False,
    served: ServedTask = SERVED,
    eta: datetime | None = None,
) -> Cancellation:
    return Cancellation(submission=a_submission(id_, eta), role=role, shadowed=shadowed, served=served, redirects=redirects)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.services)])
async def inbox(request: pytest.FixtureRequest) -> AsyncIterator[Inbox]:
    inbox: Inbox = (
        MemoryInbox()
        if request.param == "memory"
        else RedisInbox(request.getfixturevalue("redis_url"), request.getfixturevalue("redis_prefix"))
    )
    yield inbox
    await inbox.close()


async def test_no_event_worker_gets_the_claim_of_a_cancelled_submission(inbox: Inbox) -> None:
    await EventsCanceller(inbox).cancel(a_cancellation())
    (claim, other) = await inbox.claim([ClaimRequest("dualrun.events.shop:s-1", "t", 1), ClaimRequest("dualrun.events.shop:s-2", "t", 1)])
    assert (claim.state, other.state) == (ClaimState.CANCELLED, ClaimState.OURS)


async def test_work_that_a_flag_change_is_moving_is_cancelled_where_it_arrives(inbox: Inbox) -> None:
    await EventsCanceller(inbox).cancel(a_cancellation(redirects=1))
    keys = ["dualrun.events.shop:s-1", "dualrun.events.shop:s-1~1", "dualrun.events.shop:s-1~2"]
    assert await inbox.cancelled(keys) == [True, True, True]


async def test_a_cancellation_is_remembered_until_its_time_has_come() -> None:
    now = [0.0]
    inbox = MemoryInbox(clock=lambda: now[0])
    await EventsCanceller(inbox).cancel(a_cancellation(eta=datetime.now(UTC) + timedelta(days=30)))
    now[0] = timedelta(days=30, hours=1).total_seconds()
    assert await inbox.cancelled(["dualrun.events.shop:s-1"]) == [True]


async def test_an_inbox_out_of_reach_is_said_so() -> None:
    inbox = RedisInbox("redis://127.0.0.1:1/0", "p:")
    with pytest.raises(CancelFailed, match="events side: Redis out of reach"):
        await EventsCanceller(inbox).cancel(a_cancellation())
    await inbox.close()


async def test_without_the_service_of_its_workers_nothing_is_claimed_to_be_cancelled() -> None:
    with pytest.raises(CancelFailed, match="which service"):
        await EventsCanceller(MemoryInbox()).cancel(a_cancellation(served=ServedTask(task=TASK)))


def double(number: int) -> int:
    return number * 2


@contextmanager
def captured(app: Celery) -> Iterator[queue.Queue[Outcome]]:
    """Outcomes of the app's worker."""
    arrived: queue.Queue[Outcome] = queue.Queue()

    def send(outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            arrived.put(outcome)

    uninstall = capture.install(app, sender=send)
    try:
        yield arrived
    finally:
        uninstall()


async def test_a_celery_worker_that_is_up_revokes_what_waits_for_its_time() -> None:
    from celery.worker.state import revoked

    app = Celery("cancelled", broker="memory://", set_as_current=False)
    app.conf.update(broker_transport_options={"polling_interval": 0.005}, worker_hijack_root_logger=False, task_default_queue="cancel-test")
    app.task(double, name=TASK, shared=False)
    id_ = str(uuid.uuid4())
    decision = Decision(mode=Mode.LEGACY, authority=Side.LEGACY, shadow=None, reason=Reason.BY_MODE, bucket=None, flag_version=1)
    work = Work(submission=a_submission(id_), decision=decision, side=Side.LEGACY, role=Role.AUTHORITY)
    served = ServedTask(task=TASK, routing_key="cancel-test")
    with captured(app) as arrived, closing(CeleryMemoryDispatcher(app)) as dispatcher:
        with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR", without_heartbeat=True):
            await CeleryCanceller(app).cancel(a_cancellation(id_, shadowed=True))
            await becomes(lambda: _are_revoked(revoked, id_, shadow_task_id(id_)), True)
            await dispatcher.send(work, served)
            outcome = arrived.get(timeout=30)
        revoked.discard(id_)
        revoked.discard(shadow_task_id(id_))
    assert (outcome.submission_id, outcome.state) == (id_, State.REVOKED)
    app.close()


async def _are_revoked(revoked: object, *ids: str) -> bool:
    return all(id_ in revoked for id_ in ids)  # type: ignore[operator]  # Celery's LimitedSet


async def test_a_celery_broker_out_of_reach_is_said_so_soon() -> None:
    started_at = datetime.now(UTC)
    with pytest.raises(CancelFailed, match="legacy side: Celery's broker"):
        await CeleryCanceller(app_for_control("amqp://guest:guest@127.0.0.1:1//")).cancel(a_cancellation())
    assert datetime.now(UTC) - started_at < timedelta(seconds=10)


@pytest.mark.services
async def test_the_broadcast_reaches_the_workers_of_a_real_broker(amqp_url: str) -> None:
    from kombu.connection import Connection
    from kombu.pidbox import Mailbox

    heard: list[dict[str, object]] = []
    with Connection(amqp_url) as connection:
        node = Mailbox("celery", type="fanout", accept=["json"]).Node("worker@test", channel=connection.default_channel)
        consumer = node.listen(callback=lambda body, _: heard.append(body))
        await CeleryCanceller(app_for_control(amqp_url)).cancel(a_cancellation("s-9"))
        connection.drain_events(timeout=30)
        consumer.cancel()
    assert [(said["method"], said["arguments"]["task_id"]) for said in heard] == [("revoke", ["s-9"])]  # type: ignore[index]  # free-form
