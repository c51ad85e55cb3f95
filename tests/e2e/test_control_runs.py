"""Legacy as the shadow, of itself (a control run) and of events (`mirror`): nothing of it gets out, and its noise is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import REPOSITORY
from tests.support.stack import CeleryCommand, Stack, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.services]

PROJECT = REPOSITORY / "tests" / "fixtures" / "foreign_shop"
THREADS = CeleryCommand(
    arguments=("-A", "storefront.worker", "worker", "-P", "threads", "-c", "2"),
    env={"SHOP_BROKER": "{amqp_url}", "PYTHONPATH": f"{PROJECT}:{REPOSITORY}"},
    cwd=PROJECT,
)
TASK = "orders.label"
SUBMISSIONS, MIRRORED = 160, 4


def put_flag(gateway: httpx.Client, **flag: object) -> None:
    gateway.put(f"/v1/flags/{TASK}", json={"safety": "sandboxed", **flag}).raise_for_status()


def submit(gateway: httpx.Client, shop_url: str, count: int) -> None:
    tasks = [{"task": TASK, "args": [shop_url, 1 + number % 40]} for number in range(count)]
    for item in gateway.post("/v1/tasks/batch", json={"tasks": tasks}).raise_for_status().json()["results"]:
        assert item["status"] == "accepted", item


def judged(stack: Stack, gateway: httpx.Client, pairs: int) -> dict[str, Any]:
    """The task's report, once that many pairs are judged, control runs among them."""
    found: dict[str, Any] = {}

    def all_judged() -> bool:
        tasks = gateway.get(f"/v1/reports/shadow/{TASK}", params={"format": "json"}).raise_for_status().json()["tasks"]
        found.update(tasks[0] if tasks else {})
        return bool(found) and found["compared"] + found["control_runs"] >= pairs

    stack.comparator.wait_until(all_judged, f"{pairs} pairs judged", timeout_s=60.0)
    return found


def group_of(report: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The one group of that path."""
    (found,) = [group for group in report["groups"] if group["path"] == path]
    return dict(found)


def test_legacy_as_the_shadow_touches_nothing_and_tells_its_own_noise(tmp_path: Path) -> None:
    both = {TASK: {"legacy", "events"}}
    with (
        running_stack(tmp_path, handlers="tests.fixtures.foreign_handlers", celery=THREADS, tasks=both) as stack,
        httpx.Client(base_url=stack.url, timeout=40.0) as gateway,
    ):
        put_flag(gateway, mode="shadow", shadow_percent=100, control_percent=80)
        submit(gateway, stack.shop.url, SUBMISSIONS)
        report = judged(stack, gateway, SUBMISSIONS)
        assert len(stack.shop.state.calls) == SUBMISSIONS, "the authority's calls, and nobody else's"
        assert report["compared"] > 0
        assert report["control_runs"] == SUBMISSIONS - report["compared"] > 0
        weight = group_of(report, "/value/weight")
        assert weight["count"] == report["compared"], "a control run counts in no group"
        assert (weight["noise"]["standing"], weight["noise"]["control_rate"], weight["noise"]["ignore"]) == ("noise", 1.0, True)

        put_flag(gateway, mode="mirror", shadow_percent=100)
        submit(gateway, stack.shop.url, MIRRORED)
        mirrored = judged(stack, gateway, SUBMISSIONS + MIRRORED)
        assert mirrored["compared"] == report["compared"] + MIRRORED == group_of(mirrored, "/value/weight")["count"]
        assert len(stack.shop.state.calls) == SUBMISSIONS + MIRRORED
