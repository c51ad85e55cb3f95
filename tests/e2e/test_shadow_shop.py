"""The demonstration's scenario on real RabbitMQ, Redis and PostgreSQL, with a prefork `celery worker` and `python -m event_handlers`."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.shop.scenario import count_planted, run_scenario, unexplained
from tests.support.stack import running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = 500


async def test_every_planted_fault_is_found(tmp_path: Path) -> None:
    with running_stack(tmp_path, handlers="examples.shop.faulty_handlers") as stack:
        seen = await run_scenario(stack.url, COUNT, timeout_s=180.0)
    assert len(seen.accepted_ids) == COUNT
    assert (seen.paired, seen.missing, seen.late) == (COUNT, 0, 0)
    assert [fault for fault in count_planted(seen.groups) if fault.count == 0] == []
    assert unexplained(seen.groups) == 0


async def test_the_faithful_handlers_give_no_difference(tmp_path: Path) -> None:
    with running_stack(tmp_path, handlers="event_handlers.handlers") as stack:
        seen = await run_scenario(stack.url, COUNT, seed=1, timeout_s=180.0)
    assert seen.groups == ()
    assert (seen.same, seen.paired, len(seen.accepted_ids)) == (COUNT, COUNT, COUNT), seen.counts
