"""A link to the broker that breaks while handlers are at work."""

from __future__ import annotations

import asyncio

import pytest

from dualrun.broker.rabbitmq import RabbitBroker
from dualrun.contracts import State
from event_handlers import Context, Retry, handler
from tests.event_handlers.conftest import World
from tests.support.tcp_proxy import proxied_async

pytestmark = pytest.mark.services


async def test_a_cut_link_loses_no_submission(amqp_url: str) -> None:
    caller = World(RabbitBroker(amqp_url, name="caller"))
    await caller.open()
    begun = asyncio.Event()

    @handler(caller.task, max_attempts=3)
    async def work(ctx: Context, number: int) -> int:
        if number == 10:
            begun.set()
        await asyncio.sleep(0.05)
        if number % 3 == 0 and ctx.attempt == 1:
            raise Retry(delay_s=0.1)
        return number

    async with proxied_async(amqp_url, 5672) as (proxy, url):
        shaky = World(RabbitBroker(url, name="shaky"))
        shaky.service, shaky.task = caller.service, caller.task
        await shaky.broker.connect()
        await shaky.start(work, concurrency=4)
        submitted = [await caller.submit({"number": number}) for number in range(40)]
        await asyncio.wait_for(begun.wait(), 10)
        proxy.cut()
        outcomes = await caller.outcomes(submitted)
        await shaky.close()
    assert [outcome.value for outcome in outcomes] == list(range(40))
    assert {outcome.state for outcome in outcomes} == {State.SUCCEEDED}
    await caller.close()
