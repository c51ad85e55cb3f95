"""Analytics service: counts experiments a project."""

from __future__ import annotations

import logging
from collections import Counter

from event_handlers import handler
from examples.experiments.create import Experiment

log = logging.getLogger("analytics")

experiments_by_project: Counter[int] = Counter()
"""Stands for the service's database."""


@handler("experiment.created")
async def count_experiment(payload: Experiment) -> None:
    """One more for its project."""
    experiments_by_project[payload.project_id] += 1
    log.info("experiment_counted", extra={"project_id": payload.project_id})
