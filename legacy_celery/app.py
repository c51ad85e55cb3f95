"""The shop's central Celery application: `celery -A legacy_celery.app worker`, `celery -A legacy_celery.app beat`."""

from __future__ import annotations

import os

from celery import Celery
from kombu.entity import Exchange, Queue

from legacy_celery.schedule import beat_schedule

__all__ = ["SERVICES", "app"]

SERVICES = ("auth", "cart", "order", "product", "payment", "reports", "learning")

app = Celery("shop", include=[f"legacy_celery.tasks.{service}_tasks" for service in SERVICES])

app.conf.update(
    broker_url=os.environ.get("DUALRUN_CELERY_BROKER_URL", "amqp://guest:guest@127.0.0.1:5672//"),
    broker_connection_retry_on_startup=True,
    result_backend=os.environ.get("DUALRUN_CELERY_RESULT_BACKEND") or None,
    accept_content=["json"],
    task_serializer="json",
    result_serializer="json",
    timezone="UTC",
    enable_utc=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=2,
    # Celery's own tasks (chord_unlock, backend_cleanup) match no route and wait in the default queue: it is consumed too.
    task_queues=[
        *(Queue(service, Exchange(service, type="direct"), routing_key=service) for service in SERVICES),
        Queue("celery", Exchange("celery", type="direct"), routing_key="celery"),
    ],
    task_routes={f"{service}.*": {"queue": service, "routing_key": service} for service in SERVICES},
    beat_schedule=beat_schedule,
)
