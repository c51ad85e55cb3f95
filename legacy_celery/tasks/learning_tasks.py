"""Small tasks to learn with: adding, waiting, failing for a while."""

from __future__ import annotations

import time

from celery import Task

from legacy_celery.app import app

__all__ = ["NotYet", "add", "flaky", "sleep"]


class NotYet(Exception):
    """The flaky task has not failed often enough."""


@app.task(name="learning.add")
def add(x: float, y: float) -> float:
    """The sum of two numbers."""
    return x + y


@app.task(name="learning.sleep")
def sleep(seconds: float) -> float:
    """Wait; returns how long it was asked to."""
    time.sleep(seconds)
    return seconds


@app.task(bind=True, name="learning.flaky", max_retries=5)
def flaky(self: Task, fail_times: int, delay_s: float = 0.1) -> dict[str, object]:
    """Fail `fail_times` times, `delay_s` apart, then succeed; more than five times is too often."""
    if self.request.retries < fail_times:
        raise self.retry(exc=NotYet(f"failing {fail_times} times"), countdown=delay_s)
    return {"failed_times": fail_times}
