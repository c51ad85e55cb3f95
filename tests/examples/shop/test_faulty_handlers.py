"""The planted faults show where their table says, often enough to be found, and nowhere else."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest

from dualrun.contracts import Role
from event_handlers import collect_handlers
from examples.shop.planted_faults import PLANTED
from examples.shop.server import RunningShop
from examples.shop.traffic import DECK, submissions
from gateway.comparison import compare_outcomes
from gateway.core.comparison import Aspect, Difference, DifferenceKind
from tests.support.event_side import event_side
from tests.support.outcomes import legacy_outcome

FAULTY = "examples.shop.faulty_handlers"
PLACES = {(fault.task, fault.aspect, fault.kind, fault.path) for fault in PLANTED}
CONSEQUENCES = {(fault.task, *where) for fault in PLANTED for where in fault.also}


def place(task: str, difference: Difference) -> tuple[str, str, str, str]:
    return task, difference.aspect.value, difference.kind.value, difference.path


def test_the_faulty_module_serves_every_task() -> None:
    assert set(collect_handlers(FAULTY).tasks) == DECK.keys()


def test_the_table_speaks_the_words_of_the_report() -> None:
    assert len(PLACES) == len(PLANTED)
    assert {fault.aspect for fault in PLANTED} <= set(Aspect)
    assert {fault.kind for fault in PLANTED} <= set(DifferenceKind)
    assert {fault.task for fault in PLANTED} < DECK.keys()


@pytest.mark.slow
async def test_every_planted_fault_shows_at_least_five_times_in_five_hundred_and_nothing_else_does(sample_shop: RunningShop) -> None:
    traffic = list(submissions(500, seed=4))
    authorities = [await asyncio.to_thread(legacy_outcome, sample_shop, one, Role.AUTHORITY) for one in traffic]
    async with event_side(FAULTY) as side:
        shadows = await asyncio.gather(*(side.outcome(one, Role.SHADOW) for one in traffic))

    seen: Counter[tuple[str, str, str, str]] = Counter()
    for one, authority, shadow in zip(traffic, authorities, shadows, strict=True):
        # The Celery tasks are applied in this process, which records neither spans nor attempts: those are compared end to end (tests/e2e).
        _, differences = compare_outcomes(authority, msgspec.structs.replace(shadow, spans=(), attempts=1, retry_delays_s=()))
        seen.update({place(one.task, difference) for difference in differences})

    assert {where: seen[where] for where in PLACES if seen[where] < 5} == {}
    assert set(seen) == PLACES | CONSEQUENCES
    confirmations = sum(one.task == "order.send_order_confirmation" for one in traffic)
    assert seen["order.send_order_confirmation", "value", "value", "/value/total"] >= 0.2 * confirmations
