"""Retries that Celery's jitter spreads: the outcome says what their delays were drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery, Task
from celery._state import _task_stack
from celery.exceptions import Retry

from legacy_celery.jitter import jittered_within_s


@contextmanager
def _current(task: Task) -> Iterator[None]:
    _task_stack.push(task)
    try:
        yield
    finally:
        _task_stack.pop()


def _published(task: Task, retries: int, *, task_id: str = "t1") -> list[float | None]:
    """What is known of the bound while the task's next attempt is published."""
    told: list[float | None] = []

    def publish(*_: object, **options: object) -> None:
        told.append(jittered_within_s({"id": task_id, "retries": retries + 1}))
        raise Retry

    task.retry = publish
    task.push_request(id="t1", retries=retries, called_directly=False)
    try:
        with pytest.raises(Retry):
            task.run()
    finally:
        task.pop_request()
    return told


def _task(**options: float) -> Task:
    app = Celery("jitter", set_as_current=False)

    @app.task(bind=True, shared=False, autoretry_for=(OSError,), **options)  # type: ignore[untyped-decorator]  # Celery has no types
    def failing(self: Task) -> None:
        raise OSError

    task: Task = failing
    return task


@pytest.mark.parametrize(("retries", "within_s"), [(0, 3.0), (1, 6.0), (2, 12.0), (9, 20.0)])
def test_a_jittered_delay_names_the_whole_backoff_it_was_drawn_from(retries: int, within_s: float) -> None:
    task = _task(retry_backoff=3, retry_backoff_max=20)
    with _current(task):
        assert _published(task, retries) == [within_s]


@pytest.mark.parametrize("options", [{"retry_backoff": 3, "retry_jitter": False}, {"retry_backoff": False}])
def test_a_delay_no_jitter_drew_names_nothing(options: dict[str, float]) -> None:
    task = _task(**options)
    with _current(task):
        assert _published(task, 1) == [None]


def test_another_message_than_the_next_attempt_names_nothing() -> None:
    task = _task(retry_backoff=3)
    with _current(task):
        assert _published(task, 1, task_id="other") == [None]


def test_outside_a_task_there_is_no_jitter() -> None:
    assert jittered_within_s({"id": "t1", "retries": 1}) is None
