"""The embedded legacy side: a real Celery worker in this process runs what was dispatched."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

from dualrun.contracts import Decision, Mode, Outcome, Reason, Role, ServedTask, Side, State, Submission, Work
from gateway.core.errors import DispatchFailed
from gateway.dispatch.celery_memory import CeleryMemoryDispatcher
from legacy_celery import capture


def double(number: int) -> int:
    return number * 2


@pytest.fixture
def app() -> Iterator[Celery]:
    app = Celery("embedded", broker="memory://", set_as_current=False)
    app.conf.update(
        broker_transport_options={"polling_interval": 0.005}, worker_hijack_root_logger=False, task_default_queue="embedded-test"
    )
    app.task(double, name="math.double", shared=False)
    yield app
    app.close()


def a_work(number: int, role: Role = Role.AUTHORITY) -> Work:
    return Work(
        submission=Submission(id=f"s-{number}", task="math.double", args=(number,), cohort_key="k", submitted_at=datetime.now(UTC)),
        decision=Decision(mode=Mode.LEGACY, authority=Side.LEGACY, shadow=None, reason=Reason.BY_MODE, bucket=None, flag_version=1),
        side=Side.LEGACY,
        role=role,
    )


async def test_dispatched_work_runs_and_its_outcome_goes_to_the_sender(app: Celery) -> None:
    arrived: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def sender(outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            arrived.put(outcome)

    served = next(served for served in capture.announcement_of(app, "w", "s").tasks if served.task == "math.double")
    uninstall = capture.install(app, sender=sender)
    try:
        with (
            closing(CeleryMemoryDispatcher(app)) as dispatcher,
            start_worker(app, pool="threads", concurrency=2, perform_ping_check=False),
        ):
            answers = await dispatcher.send_many([(a_work(number), served) for number in range(5)])
            await dispatcher.send(a_work(5, Role.SHADOW), served)
            outcomes = {outcome.submission_id: outcome for outcome in (arrived.get(timeout=30) for _ in range(6))}
    finally:
        uninstall()
    assert answers == [None] * 5
    assert {name: outcome.value for name, outcome in outcomes.items()} == {f"s-{number}": number * 2 for number in range(6)}
    assert {outcome.state for outcome in outcomes.values()} == {State.SUCCEEDED}
    assert outcomes["s-5"].role is Role.SHADOW
    assert outcomes["s-1"].queued_ms is not None


async def test_what_cannot_be_written_is_refused(app: Celery) -> None:
    with closing(CeleryMemoryDispatcher(app)) as dispatcher, pytest.raises(DispatchFailed):
        await dispatcher.send(a_work(1), ServedTask(task="math.double", serializer="pickle"))
