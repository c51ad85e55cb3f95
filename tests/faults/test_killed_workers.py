"""SIGKILL to workers, again and again, while they work."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.conftest import CONCURRENCY, Trial, events_wanted

pytestmark = [pytest.mark.services, pytest.mark.e2e, pytest.mark.timeout(900)]


async def test_every_event_ends_although_workers_are_killed_at_random(
    tmp_path: Path, amqp_url: str, redis_url: str, redis_prefix: str
) -> None:
    async with Trial(tmp_path, amqp_url=amqp_url, redis_url=redis_url, redis_prefix=redis_prefix) as trial:
        workers = [trial.worker(f"worker {number}") for number in range(2)]
        count = events_wanted(800)
        await trial.publish(count)
        kills = 0
        while trial.ended < count * 0.9:
            await trial.until(trial.ended + random.randint(count // 20, count // 6))
            victim = random.choice(workers)
            await asyncio.to_thread(victim.kill)
            victim.start()
            kills += 1
        await trial.until_all_ended()
        assert kills >= 4
        await trial.check()
        # Only what a killed worker had in its hands may have run before.
        assert trial.repeats() <= kills * CONCURRENCY
