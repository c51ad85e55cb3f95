"""The Celery side of the runtime benchmark: `celery -A benchmarks.runtime_celery worker`."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING

from celery import Celery

from benchmarks.runtime_work import HTTP_CONNECTIONS, SERVICE_URL, WAIT_S, burn

if TYPE_CHECKING:
    import urllib3

app = Celery("bench", broker=os.environ.get("BENCH_AMQP_URL"), backend=os.environ.get("BENCH_REDIS_URL"), set_as_current=False)
app.conf.update(
    task_default_queue=os.environ.get("BENCH_QUEUE", "bench"),
    task_default_queue_type="quorum",
    task_acks_late=True,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "64")),
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    result_backend_transport_options={"global_keyprefix": os.environ.get("BENCH_PREFIX", "")},
    broker_connection_retry_on_startup=True,
)


@app.task(name="bench.noop", shared=False)
def noop(sent_at: float) -> float:
    return time.time() - sent_at


@app.task(name="bench.io", shared=False)
def io(sent_at: float) -> float:
    time.sleep(WAIT_S)
    return time.time() - sent_at


@app.task(name="bench.http", shared=False)
def http(sent_at: float) -> float:
    response = _client().request("GET", SERVICE_URL)
    if response.status != 200:
        raise RuntimeError(f"the service answered {response.status}")
    return time.time() - sent_at


@app.task(name="bench.cpu", shared=False)
def cpu(sent_at: float) -> float:
    burn()
    return time.time() - sent_at


@cache
def _client() -> urllib3.PoolManager:
    """One a process, kept: its connections stay open, and its threads share them."""
    import urllib3

    return urllib3.PoolManager(maxsize=HTTP_CONNECTIONS)
