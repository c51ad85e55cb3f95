"""A worker that was never changed reports the outcomes of submissions."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from dualrun.contracts import Role, Side, State

if TYPE_CHECKING:
    from tests.legacy_celery.conftest import Shop

pytestmark = [pytest.mark.services, pytest.mark.e2e]

POOLS = {
    "prefork": ("-P", "prefork", "-c", "2"),
    "threads": ("-P", "threads", "-c", "2"),
    "solo": ("-P", "solo"),
}


@pytest.mark.parametrize("pool", POOLS)
def test_every_ending_becomes_an_outcome(shop: Shop, pool: str) -> None:
    total = shop.submit("orders.total", ["1.10", "2.20"])
    failing = shop.submit("orders.reserve", "sku-1")
    flaky = shop.submit("orders.flaky", 3)
    ignored = shop.submit("trouble.ignored")
    rejected = shop.submit("trouble.rejected")
    expired = shop.submit("orders.total", ["1"], expires="2020-01-01T00:00:00+00:00")
    unknown = shop.submit("orders.nobody_knows")
    with shop.worker(*POOLS[pool]):
        outcome = shop.outcome_of(total)
        assert (outcome.state, outcome.side, outcome.role, outcome.flag_version) == (State.SUCCEEDED, Side.LEGACY, Role.AUTHORITY, 7)
        assert outcome.value == {"total": {"__type__": "decimal", "__value__": str(Decimal("3.30"))}, "currency": "EUR"}
        assert outcome.task == "orders.total"
        assert outcome.attempts == 1
        assert outcome.queued_ms is not None
        assert outcome.queued_ms > 1_000
        assert [span.name for span in outcome.spans] == ["execute:orders.total"]

        failure = shop.outcome_of(failing).failure
        assert failure is not None
        assert (failure.kind, failure.message) == ("OutOfStock", "sku-1")
        assert "orders.py" in (failure.traceback or "")
        assert shop.outcome_of(failing).spans[0].status == "error"

        assert (shop.outcome_of(flaky).state, shop.outcome_of(flaky).attempts, shop.outcome_of(flaky).value) == (State.SUCCEEDED, 3, 2)
        assert len(shop.outcome_of(flaky).retry_delays_s) == 2
        assert max(shop.outcome_of(flaky).retry_delays_s) < 1.0
        assert shop.outcome_of(ignored).state is State.IGNORED
        assert shop.outcome_of(rejected).state is State.REJECTED
        assert shop.outcome_of(expired).state is State.EXPIRED
        refusal = shop.outcome_of(unknown)
        assert (refusal.state, refusal.failure and refusal.failure.kind) == (State.REJECTED, "NotRegistered")
    assert list(shop.spool_dir.glob("*")) == []
