"""Notification service: tells the owner."""

from __future__ import annotations

import logging

from event_handlers import handler
from examples.experiments.create import Experiment

log = logging.getLogger("notification")


@handler("experiment.created", max_attempts=5, retry_delay_s=(1.0, 5.0, 30.0), retry_on=(OSError,))
async def notify_owner(payload: Experiment) -> None:
    """Tell the owner that the experiment stands."""
    log.info("owner_notified", extra={"user_id": payload.user_id, "experiment": payload.name})
