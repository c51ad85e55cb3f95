"""Children that are killed, brokers that are away: recorded outcomes survive, and nobody is left without one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest

from dualrun.contracts import State

if TYPE_CHECKING:
    from tests.legacy_celery.conftest import Shop

pytestmark = [pytest.mark.services, pytest.mark.e2e]

NOWHERE = {"DUALRUN_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"}


def test_a_killed_child_loses_no_recorded_outcome(shop: Shop) -> None:
    """The broker of outcomes is out of reach of the worker that ran them; killed whole, its spool is adopted by the next."""
    submitted = {shop.submit("trouble.pid") for _ in range(20)}
    with shop.worker("-P", "prefork", "-c", "2", env=NOWHERE) as worker:
        shop.until_spooled(*submitted)
        tree = [*psutil.Process(worker.pid).children(recursive=True), psutil.Process(worker.pid)]
        for process in tree:
            os.kill(process.pid, signal.SIGKILL)
        worker.wait(10)
    assert {outcome.submission_id for outcome in shop.spooled_outcomes()} == submitted
    with shop.worker("-P", "solo"):
        shop.read(until=lambda: submitted <= shop.outcomes.keys())
    assert {shop.outcomes[submission].state for submission in submitted} == {State.SUCCEEDED}
    assert shop.spooled() == []


def test_a_killed_childs_outcomes_stay_and_its_worker_goes_on(shop: Shop) -> None:
    done = shop.submit("trouble.pid")
    with shop.worker("-P", "prefork", "-c", "1", env=NOWHERE) as worker:
        shop.until_spooled(done)
        child = shop.spooled_outcomes()[0].value
        assert isinstance(child, int)
        assert child != worker.pid
        os.kill(child, signal.SIGKILL)
        again = shop.submit("trouble.pid")
        shop.until_spooled(done, again)
    # Celery may take it for lost as well: the child may die before it has said that it was done.
    assert State.SUCCEEDED in {outcome.state for outcome in shop.spooled_outcomes() if outcome.submission_id == done}


@pytest.mark.parametrize(("task", "kind"), [("trouble.killed", "WorkerLostError"), ("trouble.endless", "TimeLimitExceeded")])
def test_a_task_that_takes_its_process_down_has_an_outcome(shop: Shop, task: str, kind: str) -> None:
    submission = shop.submit(task)
    with shop.worker("-P", "prefork", "-c", "1"):
        outcome = shop.outcome_of(submission)
    assert (outcome.state, outcome.failure and outcome.failure.kind) == (State.FAILED, kind)


def test_tasks_run_whether_or_not_outcomes_can_be_sent(shop: Shop) -> None:
    submitted = {shop.submit("orders.total", ["1"]) for _ in range(5)}
    with shop.worker("-P", "threads", "-c", "2", env=NOWHERE):
        shop.until_spooled(*submitted)
    assert {outcome.submission_id for outcome in shop.spooled_outcomes()} == submitted


def test_a_revoked_submission_has_an_outcome(shop: Shop) -> None:
    submission = shop.submit("orders.total", ["1"], eta="2099-01-01T00:00:00+00:00")
    with shop.worker("-P", "solo"):
        shop.until_received(submission)
        shop.app.control.revoke(submission)
        # Celery looks at its revoked set when a task becomes due or is received again: a second copy of the message stands for that.
        shop.repeat(submission, "orders.total", ["1"])
        assert shop.outcome_of(submission).state is State.REVOKED
