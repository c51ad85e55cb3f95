"""Too fast, too much at once, too large, too deep: each refused with what would be right."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.access import Permission
from tests.support.access import ADMIN_TOKEN, bearer, guarded_gateway, token_for
from tests.support.eventually import becomes
from tests.support.gateway_parts import TASK

GOOD = {"task": TASK, "args": [42, "ann@example.org"]}


async def test_a_caller_that_is_too_fast_is_told_when_to_come_again_and_rolls_back_all_the_same() -> None:
    async with guarded_gateway(rate_per_s=0.2) as (gateway, client):
        headers = bearer(await token_for(gateway, Permission.SUBMIT, Permission.OPERATE))
        await client.put(f"/v1/flags/{TASK}", json={"mode": "events"}, headers=headers)
        answers = [await client.post("/v1/tasks", json=GOOD, headers=headers) for _ in range(6)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert (await client.post(f"/v1/flags/{TASK}/rollback?wait_s=0", headers=headers)).status_code == 200


async def test_guessing_tokens_is_slow_and_keeps_out_nobody_who_has_one() -> None:
    async with guarded_gateway() as (_, client):
        guesses = [(await client.get("/v1/flags", headers=bearer(f"dualrun_0123456789ab_{number}"))).status_code for number in range(25)]
        assert set(guesses) == {401, 429}
        typed = [await client.post("/console/login", data={"token": "x"}, headers={"Sec-Fetch-Site": "same-origin"}) for _ in range(25)]
        assert typed[-1].status_code == 429
        assert (await client.get("/v1/flags", headers=bearer(ADMIN_TOKEN))).status_code == 200


@pytest.mark.parametrize("guarded", [True, False])
async def test_only_so_many_requests_may_wait(guarded: bool) -> None:
    async with guarded_gateway(max_waits=1, access="required" if guarded else "off") as (gateway, client):
        headers = bearer(ADMIN_TOKEN)
        await gateway.comparator.start()
        place = f"/v1/tasks/{(await client.post('/v1/tasks', json=GOOD, headers=headers)).json()['id']}/result"
        waiting = asyncio.create_task(client.get(f"{place}?wait_s=30", headers=headers))

        async def one_waits() -> int:
            return sum(gateway.services.limits._waiting.values())

        await becomes(one_waits, 1)
        refused = await client.get(f"{place}?wait_s=30", headers=headers)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert (await client.get(place, headers=headers)).status_code == 202, "asking without waiting is free"
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await becomes(one_waits, 0)
