"""What a change of flags says of work that waited: `PUT /v1/flags/...`, `promote`, and `GET /v1/flags/{task}/in-flight`."""

from __future__ import annotations

import httpx
import pytest

from tests.gateway.test_redirects import Handled, event_worker, submit
from tests.support.gateway_parts import TASK, MemoryGateway

WAITING = 20
SETTLED = {"wait_s": 20}


@pytest.mark.parametrize("path", [f"/v1/flags/{TASK}", "/v1/flags"])
async def test_a_flag_set_back_counts_what_went_along(gateway: MemoryGateway, client: httpx.AsyncClient, path: str) -> None:
    handled = Handled()
    async with event_worker(gateway, handled, concurrency=1):
        await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
        await submit(gateway, WAITING)
        await submit(gateway, 3, countdown=3600.0)
        body = {"mode": "legacy"} if path.endswith(TASK) else {"flags": {TASK: {"mode": "legacy"}}}
        moved = (await client.put(path, json=body, params=SETTLED, headers={"If-Match": "*"})).raise_for_status().json()["in_flight"]
        assert {name: moved[name] for name in ("scheduled", "kept", "complete")} == {"scheduled": 3, "kept": 0, "complete": True}
        assert moved["redirected"] + moved["started"] == WAITING
        handled.may_go_on.set()
        again = (await client.get(f"/v1/flags/{TASK}/in-flight")).json()
        assert again == {"version": 2, "in_flight": moved}


async def test_a_step_counts_what_went_along(gateway: MemoryGateway, client: httpx.AsyncClient) -> None:
    async with event_worker(gateway, Handled(), concurrency=1):
        await client.put(f"/v1/flags/{TASK}", json={"mode": "canary", "events_percent": 100})
        await submit(gateway, WAITING)
        step = {"to": "canary 0.001 %"}
        moved = (await client.post(f"/v1/flags/{TASK}/promote", json=step, params=SETTLED)).raise_for_status().json()["in_flight"]
        assert moved["redirected"] + moved["started"] + moved["kept"] == WAITING
        assert moved["complete"] is True


async def test_a_change_that_moves_nobody_counts_nothing(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/v1/flags/{TASK}/in-flight")).json()["version"] is None
    for _ in range(2):
        set_again = await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 5, "safety": "pure"})
        assert set_again.json()["in_flight"] is None
    held = await client.post(f"/v1/flags/{TASK}/hold")
    assert held.json()["in_flight"] is None


async def test_without_a_wait_the_answer_says_that_not_everybody_has_spoken(client: httpx.AsyncClient) -> None:
    moved = (await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})).json()["in_flight"]
    assert (moved["complete"], moved["workers"]) == (False, 0)
