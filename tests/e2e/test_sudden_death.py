"""SIGKILL to any one process in the middle of 2,000 submissions: none is lost, and each has exactly one authority outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest

from tests.support.stack import Stack, running_stack

pytestmark = [pytest.mark.e2e, pytest.mark.services, pytest.mark.slow, pytest.mark.timeout(300)]

COUNT = 2_000
CALLERS = 16
TASKS = ("learning.add", "product.update_stock")
"""The first is answered by legacy with events as its shadow, the second by events alone."""
FLAGS = (
    (TASKS[0], {"mode": "shadow", "shadow_percent": 100, "safety": "pure"}),
    (TASKS[1], {"mode": "events"}),
)


def kill_and_restart(name: str) -> Callable[[Stack], None]:
    def strike(stack: Stack) -> None:
        process = stack.processes[name]
        process.kill()
        process.start()

    return strike


def kill_one_celery_child(stack: Stack) -> None:
    """Celery replaces it."""
    children = subprocess.run(["pgrep", "-P", str(stack.celery_worker.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(children[0]), signal.SIGKILL)


STRIKES = {
    **{name: kill_and_restart(name) for name in ("gateway", "comparator", "celery_worker", "event_worker")},
    "celery child": kill_one_celery_child,
}


@pytest.mark.parametrize("victim", STRIKES)
async def test_no_submission_is_lost_and_each_has_one_authority_outcome(victim: str, tmp_path: Path) -> None:
    with running_stack(tmp_path, handlers="event_handlers.handlers") as stack:
        await set_flags(stack)
        half = asyncio.Event()
        submitting = asyncio.create_task(submit_all(stack, half))
        await half.wait()
        await asyncio.to_thread(STRIKES[victim], stack)
        accepted = await submitting
        assert len(set(accepted)) == COUNT
        await until_all_ended(stack, accepted)


async def set_flags(stack: Stack) -> None:
    async with httpx.AsyncClient(base_url=stack.url) as client:
        for task, flag in FLAGS:
            (await client.put(f"/v1/flags/{task}", json=flag)).raise_for_status()


async def submit_all(stack: Stack, half: asyncio.Event) -> list[str]:
    """As a careful caller does it: a key for each, repeated until there is a 202."""
    numbers = iter(range(COUNT))
    accepted: list[str] = []

    async def caller(client: httpx.AsyncClient) -> None:
        for number in numbers:
            accepted.append(await submit_until_accepted(client, number))
            if len(accepted) == COUNT // 2:
                half.set()

    async with httpx.AsyncClient(base_url=stack.url, timeout=15.0) as client:
        await asyncio.gather(*(caller(client) for _ in range(CALLERS)))
    return accepted


async def submit_until_accepted(client: httpx.AsyncClient, number: int) -> str:
    task = TASKS[number % 2]
    args = [number, 1] if task == TASKS[0] else [number + 1, 1, "inventory"]
    while True:
        try:
            answer = await client.post("/v1/tasks", json={"task": task, "args": args}, headers={"Idempotency-Key": f"n-{number}"})
        except httpx.TransportError:
            await asyncio.sleep(0.2)
            continue
        if answer.status_code == 202:
            return str(answer.json()["id"])
        assert answer.status_code in {409, 503}, answer.text
        await asyncio.sleep(float(answer.headers["Retry-After"]))


async def until_all_ended(stack: Stack, accepted: list[str]) -> None:
    connection = await asyncpg.connect(stack.ledger_url.replace("+asyncpg", ""))
    query = "SELECT submission_id, count(*) FROM outcomes WHERE role = 'authority' AND submission_id = ANY($1) GROUP BY submission_id"
    try:
        async with asyncio.timeout(120):
            # The ledger has no event for "all ended": it is asked again.
            while len(rows := await connection.fetch(query, accepted)) < len(accepted):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        assert {row["count"] for row in rows} == {1}
        unrecorded = await connection.fetchval(
            "SELECT count(*) FROM unnest($1::text[]) AS wanted(id) LEFT JOIN submissions USING (id) WHERE task IS NULL", accepted
        )
        assert unrecorded == 0
    finally:
        await connection.close()
