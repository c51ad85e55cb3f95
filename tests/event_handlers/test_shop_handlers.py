"""The sample handlers are faithful: for any arguments they leave in the shop exactly what the Celery tasks leave."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dualrun.contracts import Role
from event_handlers import collect_handlers
from event_handlers.handlers.clients import http_client
from event_handlers.handlers.clients import shop as call_shop
from examples.shop.server import RunningShop
from examples.shop.traffic import Json, Request, submissions
from gateway.comparison import compare_outcomes
from gateway.core.comparison import Verdict
from tests.support.event_side import EventSide, event_side
from tests.support.outcomes import legacy_outcome
from tests.support.shop import legacy_app, run_legacy

ids = st.integers(min_value=1, max_value=10**6)
words = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
emails = st.from_regex(r"[a-z]{1,10}(\+[a-z]{1,5})?@[a-z]{1,10}\.example", fullmatch=True)
links = st.from_regex(r"https://shop\.example/[a-zA-Z0-9/_-]{1,60}", fullmatch=True)
cart_ids = st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True)
images = st.from_regex(r"https://cdn\.example/[a-z]{1,8}\.(jpg|PNG|webp|gif)", fullmatch=True)
numbers = st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False, width=32))


def request(task: str, *args: st.SearchStrategy[Json]) -> st.SearchStrategy[Request]:
    return st.tuples(*args).map(lambda drawn: Request(task, drawn))


requests_of_any_task = st.one_of(
    request("auth.send_verification_email", ids, emails, links),
    request("auth.cleanup_expired_tokens", st.integers(-1, 25)),
    request("cart.merge_carts", cart_ids, cart_ids),
    request("order.send_order_confirmation", st.integers(-2, 10**6), emails),
    request("order.update_order_status", st.integers(-2, 10**6), words),
    request("order.update_order_status", ids, words, st.booleans()),
    request("product.process_images", ids, st.lists(images, max_size=4)),
    request("product.update_stock", ids, st.integers(-50, 50)),
    request("product.update_stock", ids, st.integers(-50, 50), words),
    request("payment.process_payment", ids),
    st.dates().map(lambda day: Request("reports.daily_report", kwargs={"day": day.isoformat()})),
    request("learning.add", numbers, numbers),
)


@pytest.fixture
async def side(sample_shop: RunningShop) -> AsyncIterator[EventSide]:
    async with event_side() as running:
        yield running


def test_every_task_has_a_handler() -> None:
    tasks = {name for name in legacy_app().tasks if not name.startswith("celery.")}

    assert set(collect_handlers("event_handlers.handlers").tasks) == tasks


async def test_a_days_traffic_leaves_the_same_on_both_sides(sample_shop: RunningShop, side: EventSide) -> None:
    for one in submissions(100, seed=1):
        legacy = await asyncio.to_thread(run_legacy, sample_shop, one.task, one.args, one.kwargs)
        assert await side.trace(sample_shop, one) == legacy, one


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=requests_of_any_task)
def test_any_arguments_leave_the_same_on_both_sides(sample_shop: RunningShop, one: Request) -> None:
    async def trace() -> object:
        async with event_side() as side:
            return await side.trace(sample_shop, one)

    legacy = run_legacy(sample_shop, one.task, one.args, one.kwargs)

    assert asyncio.run(trace()) == legacy


async def test_a_shadow_after_all_the_authorities_is_equal_and_touches_nothing(sample_shop: RunningShop, side: EventSide) -> None:
    traffic = list(submissions(100, seed=2))
    authorities = [await asyncio.to_thread(legacy_outcome, sample_shop, one, Role.AUTHORITY) for one in traffic]
    calls, mails = len(sample_shop.state.calls), len(sample_shop.mail.messages)

    shadows = await asyncio.gather(*(side.outcome(one, Role.SHADOW) for one in reversed(traffic)))

    for one, authority, shadow in zip(traffic, authorities, reversed(shadows), strict=True):
        # A task applied in place has neither spans nor attempts of its own.
        in_place = msgspec.structs.replace(shadow, spans=(), attempts=1, retry_delays_s=())
        assert compare_outcomes(authority, in_place) == (Verdict.EQUAL, ()), one
    assert (len(sample_shop.state.calls), len(sample_shop.mail.messages)) == (calls, mails)


async def test_the_busy_provider_costs_as_many_attempts_as_on_celery(sample_shop: RunningShop, side: EventSide) -> None:
    outcome = await side.outcome(Request("payment.process_payment", (77,)), Role.AUTHORITY)

    assert outcome.attempts == 3
    assert [effect.key.partition(" ")[0] for effect in outcome.effects] == ["GET", "POST", "PATCH"]


@pytest.mark.parametrize(("fail_times", "attempts", "kind"), [(0, 1, None), (5, 6, None), (6, 6, "NotYet")])
async def test_the_flaky_handler_is_given_six_attempts(side: EventSide, fail_times: int, attempts: int, kind: str | None) -> None:
    outcome = await side.outcome(Request("learning.flaky", (fail_times, 0.0)), Role.AUTHORITY)

    assert (outcome.attempts, outcome.failure and outcome.failure.kind) == (attempts, kind)


async def test_the_handlers_of_a_loop_share_one_client(sample_shop: RunningShop) -> None:
    assert await http_client() is await http_client()


def test_the_client_is_closed_with_its_loop(sample_shop: RunningShop) -> None:
    async def call() -> object:
        (await call_shop("GET", "/tokens")).raise_for_status()
        return await http_client()

    client = asyncio.run(call())

    assert getattr(client, "is_closed", None) is True
    # An open connection left to the collector would be a ResourceWarning, which fails the test.
    gc.collect()
    assert asyncio.run(call()) is not client
