"""The peer of the submit benchmark: what a team has today. FastAPI, pydantic, and `celery.send_task` in the worker thread pool."""

from __future__ import annotations

import os

import pydantic
from celery import Celery
from fastapi import FastAPI

app = FastAPI()
celery = Celery("peer", broker=os.environ["BENCH_AMQP_URL"], set_as_current=False)
celery.conf.task_ignore_result = True
celery.conf.task_create_missing_queue_type = os.environ["BENCH_QUEUE_TYPE"]


class TaskBody(pydantic.BaseModel):
    """One task."""

    task: str
    args: list[object] = pydantic.Field(default_factory=list)
    kwargs: dict[str, object] = pydantic.Field(default_factory=dict)


@app.post("/tasks", status_code=202)
def submit(body: TaskBody) -> dict[str, str]:
    """Send it. A plain function: FastAPI runs it in its thread pool, as `send_task` blocks."""
    sent = celery.send_task(body.task, args=body.args, kwargs=body.kwargs, queue=os.environ["BENCH_QUEUE"])
    return {"id": str(sent.id)}
