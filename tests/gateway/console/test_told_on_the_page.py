"""What a page says before something is asked for, and on the spot where it was refused."""

from __future__ import annotations

import httpx
import pytest

from dualrun.broker import Message
from dualrun.contracts import Mode
from gateway.core.flags import Flag
from tests.support.eventually import becomes
from tests.support.gateway_parts import EVENTS_QUEUE, TASK, MemoryGateway
from tests.support.records import NOON, a_record, an_outcome

HERE = {"Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    ("sent", "said"),
    [({"reason": "it looks well"}, "does not allow the step"), ({"force": "yes"}, "The flag cannot be set")],
    ids=["not proven", "no reason"],
)
async def test_a_refused_step_is_told_on_the_tasks_page_with_what_was_typed(
    client: httpx.AsyncClient, sent: dict[str, str], said: str
) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "shadow", "shadow_percent": 5, "safety": "sandboxed"})
    refused = await client.post(f"/console/tasks/{TASK}/promote", data=sent, headers=HERE)
    assert refused.status_code in (409, 422)
    assert said in refused.text
    assert "Nothing was changed." in refused.text
    assert f'data-address="/console/tasks/{TASK}"' in refused.text
    assert f'data-typed value="{sent.get("reason", "")}"' in refused.text
    assert ('value="yes" checked' in refused.text) is ("force" in sent)
    assert 'role="alert"' not in (await client.get(f"/console/tasks/{TASK}")).text


async def test_a_task_that_is_held_at_the_last_step_can_be_released(client: httpx.AsyncClient) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    assert "Release" not in (await client.get(f"/console/tasks/{TASK}")).text
    await client.post(f"/console/tasks/{TASK}/hold", data={"held": "yes"}, headers=HERE)
    text = (await client.get(f"/console/tasks/{TASK}")).text
    assert "<button>Release</button>" in text
    assert "<button>Promote</button>" not in text


async def test_a_rollback_to_where_nobody_works_says_so_before(client: httpx.AsyncClient, gateway: MemoryGateway) -> None:
    await client.put(f"/v1/flags/{TASK}", json={"mode": "events"})
    pages = ("/console/", f"/console/tasks/{TASK}", "/console/flags")
    for page in pages:
        assert "egacy worker" not in (await client.get(page)).text, page
    # A task of its own that only a flag names: nobody serves it.
    flags = {**gateway.flags.snapshot.flags, "cart.merge": Flag(task="cart.merge", mode=Mode.EVENTS)}
    await gateway.flags.replace(flags, expected_version=1, author="ann", reason="", source="api")
    for page in ("/console/", "/console/tasks/cart.merge"):
        assert "No legacy worker is alive: its submissions will wait until one is." in (await client.get(page)).text, page
    everything = (await client.get("/console/flags")).text
    assert "on every gateway? 1 of them has no legacy worker alive and waits until one is." in everything


@pytest.mark.parametrize(
    ("flag", "advice", "wrong"),
    [
        ({"mode": "legacy"}, "--mode shadow --shadow-percent 5 --safety sandboxed", "--mode mirror"),
        ({"mode": "legacy", "safety": "pure"}, "--mode shadow --shadow-percent 5", "--safety"),
        ({"mode": "shadow", "shadow_percent": 7, "safety": "pure"}, "7 % of its submissions also run as a shadow", "flags set"),
        ({"mode": "canary", "events_percent": 5, "safety": "pure"}, f"{TASK} --shadow-percent 5", "--mode"),
        ({"mode": "events", "safety": "pure"}, "--mode mirror", "--mode shadow"),
    ],
    ids=["legacy", "declared", "shadow", "canary", "events"],
)
async def test_a_task_that_was_never_compared_is_told_what_fits_its_mode(
    client: httpx.AsyncClient, flag: dict[str, object], advice: str, wrong: str
) -> None:
    (await client.put(f"/v1/flags/{TASK}", json=flag)).raise_for_status()
    text = (await client.get(f"/console/tasks/{TASK}")).text
    assert advice in text
    assert wrong not in text


async def test_where_no_dead_letter_is_ticked_nothing_is_done_and_the_page_says_so(
    client: httpx.AsyncClient, gateway: MemoryGateway
) -> None:
    await gateway.broker.publish("", f"{EVENTS_QUEUE}.dead", Message(body=b"{}", message_id="m-0", headers={}))
    hidden = " data-none hidden"
    assert hidden in (await client.get("/console/dead-letters")).text
    for verb, more in (("replay", {}), ("discard", {"reason": "out of date"})):
        answer = await client.post(f"/console/dead-letters/{verb}", data={"service": "shop", **more}, headers=HERE)
        assert (answer.status_code, hidden in answer.text) == (422, False)
        assert more.get("reason", "") in answer.text


async def test_a_submissions_life_says_who_asked_to_cancel_it_and_tells_its_moments_apart(
    client: httpx.AsyncClient, gateway: MemoryGateway
) -> None:
    await gateway.ledger.append([a_record("s1", task=TASK), an_outcome("s1", task=TASK, started_at=NOON)], arrived_at=NOON)
    page = "/console/submissions/s1"
    assert "cancel asked" not in (await client.get(page)).text
    await client.delete("/v1/tasks/s1")

    async def is_told() -> bool:
        return "cancel asked for by anybody, and refused (409)" in (await client.get(page)).text

    await becomes(is_told, True)
    assert "data-exact>2026-05-04 12:00:00.010 UTC</time>" in (await client.get(page)).text
