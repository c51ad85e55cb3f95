"""A rollback takes back a thousand waiting messages: four gateways, two event workers, a Celery worker, on real services."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.in_flight.runs import TASK
from tests.support.fleet import Fleet, running_fleet
from tests.support.processes import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(240)]

MESSAGES = 1_000


def fleet_of(
    directory: Path, *, gateway_count: int = 4, event_worker_count: int = 2, pool: Sequence[str] = ("-P", "threads", "-c", "4")
) -> AbstractContextManager[Fleet]:
    return running_fleet(
        directory,
        task=TASK,
        celery_app="tests.fixtures.in_flight.celery_app",
        handlers="tests.fixtures.in_flight.handlers",
        env={"IN_FLIGHT_DIR": str(directory)},
        gateway_count=gateway_count,
        event_worker_count=event_worker_count,
        pool=pool,
    )


def runs_in(fleet: Fleet) -> Counter[str]:
    """How often each message ran on each side: `legacy 17`."""
    path = fleet.directory / "runs"
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()


def roll_back(fleet: Fleet) -> dict[str, Any]:
    command = [sys.executable, "-m", "gateway.cli.main", "rollback", TASK, "--url", fleet.urls[1], "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def check_rollback(fleet: Fleet, first: int, before: Counter[str], *, is_stored: bool) -> None:
    """Roll back with a thousand messages waiting: all but the few that have started run on legacy, once, and are counted."""
    fleet.gateway.wait_until(lambda: sum((runs_in(fleet) - before).values()) == 4, "four at work on the events side")
    answer = roll_back(fleet)
    assert answer["stored"] is is_stored
    fleet.gateway.wait_until(lambda: fleet.versions() == {answer["version"]}, "the rollback in every gateway", timeout_s=20.0)
    counts = answer["in_flight"]
    if not counts["complete"]:
        counts = roll_back(fleet)["in_flight"]
    assert counts == {
        "redirected": MESSAGES - 4,
        "scheduled": 0,
        "started": 4,
        "kept": 0,
        "waiting": 0,
        "workers": 2,
        "complete": True,
    }, "\n".join(worker.output[-3_000:] for worker in fleet.workers)
    fleet.gateway.wait_until(lambda: sum((runs_in(fleet) - before).values()) == MESSAGES, "a thousand runs")
    ran = runs_in(fleet) - before
    assert set(ran.values()) == {1}
    assert {int(line.split()[1]) for line in ran} == set(range(first, first + MESSAGES))
    assert Counter(line.split()[0] for line in ran) == {"legacy": MESSAGES - 4, "events": 4}


def test_a_thousand_waiting_messages_run_once_on_legacy_whatever_else_is_down(tmp_path: Path) -> None:
    with fleet_of(tmp_path) as fleet:
        for first, break_down in ((0, None), (MESSAGES, fleet.postgres.break_down), (2 * MESSAGES, fleet.redis.stop)):
            fleet.put("events")
            before = runs_in(fleet)
            fleet.submit(first, MESSAGES)
            if break_down is not None:
                break_down()
            check_rollback(fleet, first, before, is_stored=break_down != fleet.redis.stop)
            (tmp_path / f"end-{first // MESSAGES}").touch()


def test_a_step_forward_takes_along_what_waits_in_celery_and_counts_it(tmp_path: Path) -> None:
    waiting, scheduled = 40, 10
    in_pool = 2
    (tmp_path / "hold-legacy").touch()
    with fleet_of(tmp_path, gateway_count=1, event_worker_count=1, pool=("-P", "prefork", "-c", "2")) as fleet:
        fleet.put("events")
        forward = next(iter(fleet.versions()))
        fleet.put("legacy")
        eta = (datetime.now(UTC) + timedelta(seconds=20)).isoformat()
        tasks = [{"task": TASK, "args": [number], "eta": eta} for number in range(waiting, waiting + scheduled)]
        tasks += [{"task": TASK, "args": [number]} for number in range(waiting)]
        answer = httpx.post(f"{fleet.urls[0]}/v1/tasks/batch", json={"tasks": tasks}, timeout=30.0).raise_for_status().json()
        assert {result["decision"]["authority"] for result in answer["results"]} == {"legacy"}
        fleet.gateway.wait_until(lambda: len(runs_in(fleet)) == 2, "two at work on the legacy side")
        # It answers as soon as everybody has spoken, which is long before this is over.
        answer = httpx.post(
            f"{fleet.urls[0]}/v1/flags/{TASK}/rollback", params={"wait_s": 30}, json={"to_version": forward}, timeout=httpx.Timeout(20.0)
        )
        moved = answer.raise_for_status().json()
        assert moved["in_flight"] == {
            "redirected": waiting - in_pool,
            "scheduled": scheduled,
            "started": in_pool,
            "kept": 0,
            "waiting": 0,
            "workers": 1,
            "complete": True,
        }
        (tmp_path / "end-0").touch()
        fleet.gateway.wait_until(lambda: sum(runs_in(fleet).values()) >= waiting + scheduled, "all have run", timeout_s=40.0)
        ran = runs_in(fleet)
        assert set(ran.values()) == {1}
        assert Counter(line.split()[0] for line in ran) == {"legacy": in_pool, "events": waiting - in_pool + scheduled}
