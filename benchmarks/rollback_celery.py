"""The legacy side of the rollback benchmark: `celery -A benchmarks.rollback_celery worker`."""

from __future__ import annotations

import os

from celery import Celery

from benchmarks.rollback_runs import TASK, note

app = Celery("bench", broker=os.environ.get("DUALRUN_CELERY_BROKER_URL"), set_as_current=False)
app.conf.update(task_default_queue="bench.rollback", worker_send_task_events=False, broker_connection_retry_on_startup=True)


@app.task(name=TASK, shared=False)  # type: ignore[untyped-decorator]  # Celery has no types
def run(number: int) -> int:
    note("legacy", number)
    return number
