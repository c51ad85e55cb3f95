"""Of which backoff Celery's jitter drew a retry's delay."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from celery import current_task

__all__ = ["jittered_within_s"]


def jittered_within_s(headers: Mapping[str, object]) -> float | None:
    """The most seconds the retry about to be published can have been told to wait; None where no jitter drew them.

    Jitter is on by default where a task retries by itself with `retry_backoff`: a delay is drawn evenly from none to all of
    `min(retry_backoff_max, retry_backoff * 2 ** retries)`. A `self.retry(countdown=...)` of the task's own is never jittered.
    Source: celery.app.autoretry and celery.utils.time.get_exponential_backoff_interval.
    """
    task, retries = current_task, headers.get("retries")
    if not task or not isinstance(retries, int) or retries < 1 or headers.get("id") != task.request.id:
        return None
    backoff = float(getattr(task, "retry_backoff", False))
    caught = tuple(getattr(task, "autoretry_for", ()))
    if not backoff or not getattr(task, "retry_jitter", True) or not isinstance(sys.exception(), caught):
        return None
    return float(min(int(getattr(task, "retry_backoff_max", 600)), int(max(1.0, backoff)) * 2 ** (retries - 1)))
