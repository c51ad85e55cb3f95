"""A Celery application that knows nothing of dualrun, attached by environment alone: its tasks run through the gateway."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.processes import REPOSITORY
from tests.support.stack import CeleryCommand, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.services]

PROJECT = REPOSITORY / "tests" / "fixtures" / "foreign_shop"
ITS_COMMAND = CeleryCommand(
    arguments=("-A", "storefront.worker", "worker", "-c", "1"),
    env={"SHOP_BROKER": "{amqp_url}", "PYTHONPATH": f"{PROJECT}:{REPOSITORY}"},
    cwd=PROJECT,
)


def test_its_tasks_run_through_the_gateway_and_its_outcomes_arrive(tmp_path: Path) -> None:
    with (
        running_stack(tmp_path, celery=ITS_COMMAND, tasks={"orders.total": {"legacy"}}) as stack,
        httpx.Client(base_url=stack.url, timeout=40.0) as gateway,
    ):
        accepted = gateway.post("/v1/tasks", json={"task": "orders.total", "args": [["1.10", "2.20"]]}).raise_for_status().json()
        outcome = gateway.get(f"/v1/tasks/{accepted['id']}/result", params={"wait_s": 30}).json()["outcome"]
        assert (outcome["state"], outcome["side"], outcome["role"]) == ("succeeded", "legacy", "authority")
        assert outcome["value"]["total"] == {"__type__": "decimal", "__value__": "3.30"}

        failing = gateway.post("/v1/tasks", json={"task": "orders.reserve", "args": ["sku-1"]}).raise_for_status().json()
        outcome = gateway.get(f"/v1/tasks/{failing['id']}/result", params={"wait_s": 30}).json()["outcome"]
        assert (outcome["state"], outcome["failure"]["kind"]) == ("failed", "OutOfStock")
