"""The service that owns experiments: it saves one, says so, and is done."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import msgspec

from event_handlers import EventPublisher

__all__ = ["Experiment", "create_experiment"]

_ids = itertools.count(1)


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an experiment; also the payload of `experiment.created`."""

    experiment_id: int
    user_id: int
    project_id: int
    name: str
    created_at: datetime


async def create_experiment(publisher: EventPublisher, *, user_id: int, project_id: int, name: str) -> Experiment:
    """Return once the broker has the event; who acts on it, and how long that takes, is no concern of the caller's."""
    experiment = Experiment(experiment_id=next(_ids), user_id=user_id, project_id=project_id, name=name, created_at=datetime.now(UTC))
    await publisher.publish("experiment.created", experiment, subject=f"experiment/{experiment.experiment_id}")
    return experiment
