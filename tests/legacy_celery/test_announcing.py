"""What a worker says it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import redis
from celery import Celery
from celery.exceptions import CDeprecationWarning
from hypothesis import given
from hypothesis import strategies as st
from kombu.entity import Exchange, Queue

from dualrun.announce_redis import catalogue_key, read_task, workers_key
from dualrun.contracts import Parameter, ServedTask, Side
from legacy_celery.announcing import announcement_of, parameters_of
from tests.support.shop import legacy_app

if TYPE_CHECKING:
    from tests.legacy_celery.conftest import Shop


def bound(self: object, x: int, y: int = 1, *, z: int) -> None: ...


def anything(*args: int) -> None: ...


def served_by(app: Celery) -> dict[str, ServedTask]:
    return {task.task: task for task in announcement_of(app, "w", "s").tasks}


def an_app() -> Celery:
    app = Celery("announcing", set_as_current=False, broker="memory://")
    app.conf.task_queues = (
        Queue("plain", Exchange("plain", type="direct"), routing_key="other"),
        Queue("topical", Exchange("topics", type="topic"), routing_key="a.#"),
    )
    app.conf.task_default_queue = "plain"
    app.conf.task_routes = {"a.*": {"queue": "topical", "routing_key": "a.work"}}
    return app


def test_a_queue_of_the_task_itself_wins() -> None:
    app = an_app()
    app.task(anything, name="c.own", queue="elsewhere", shared=False)
    with pytest.warns(CDeprecationWarning):
        served = served_by(app)
    assert (served["c.own"].exchange, served["c.own"].routing_key) == ("", "elsewhere")


def test_a_task_is_announced_with_its_parameters_and_its_address() -> None:
    app = an_app()
    app.task(bound, name="a.bound", bind=True, shared=False)
    app.task(anything, name="b.any", shared=False)

    served = served_by(app)
    # Shared tasks of any application imported in this process belong to every app.
    shared = set(legacy_app().tasks)
    assert set(served) - shared == {"a.bound", "b.any"}
    assert [name for name in served if name.startswith("celery.")] == [], "Celery's own tasks are not announced"
    assert served["a.bound"].parameters == (
        Parameter(name="x"),
        Parameter(name="y", required=False),
        Parameter(name="z", keyword_only=True),
    )
    assert (served["a.bound"].exchange, served["a.bound"].routing_key) == ("topics", "a.work")
    assert served["b.any"].parameters is None
    assert (served["b.any"].exchange, served["b.any"].routing_key) == ("", "plain"), "a direct exchange is reached by the queue's name"


@given(st.lists(st.sampled_from("abcdef"), unique=True), st.data())
def test_parameters_are_those_of_the_signature(names: list[str], data: st.DataObject) -> None:
    optional_from = data.draw(st.integers(0, len(names)))
    written = ", ".join(name if index < optional_from else f"{name}=None" for index, name in enumerate(names))
    function = eval(f"lambda {written}: None")
    assert parameters_of(function) == tuple(Parameter(name=name, required=index < optional_from) for index, name in enumerate(names))


@pytest.mark.services
@pytest.mark.e2e
def test_a_worker_announces_itself_and_withdraws(shop: Shop, redis_url: str, redis_prefix: str) -> None:
    env = {"DUALRUN_REDIS_URL": redis_url, "DUALRUN_REDIS_PREFIX": redis_prefix}
    submission = shop.submit("orders.total", ["1"])
    with redis.Redis.from_url(redis_url) as client:
        with shop.worker("-P", "prefork", "-c", "1", env=env):
            shop.outcome_of(submission)
            shop.until(lambda: client.hlen(workers_key(redis_prefix, Side.LEGACY)) == 1)
            body = client.hget(catalogue_key(redis_prefix, Side.LEGACY), "orders.total")
            assert isinstance(body, bytes)
            task = read_task(body)
            assert task is not None
            assert (task.exchange, task.routing_key) == ("shop.topic", "orders.work")
            assert task.parameters == (Parameter(name="prices"), Parameter(name="currency", required=False, keyword_only=True))
        assert client.hlen(workers_key(redis_prefix, Side.LEGACY)) == 0
