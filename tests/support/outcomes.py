"""Outcomes of runs made in the test's own process, as the workers would record them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast

import dualrun.effects
from dualrun.contracts import Failure, JsonValue, Outcome, Role, Side, State
from dualrun.effects.execution import execution
from examples.shop import catalogue
from examples.shop.server import RunningShop
from examples.shop.traffic import Request
from tests.support.shop import legacy_app

__all__ = ["legacy_outcome", "outcome_of"]


def outcome_of(request: Request, *, side: Side, role: Role, run: Callable[[], object]) -> Outcome:
    """Run a side with its effects captured, and as a shadow withheld."""
    dualrun.effects.install()
    started_at = datetime.now(UTC)
    failure: Failure | None = None
    value: object = None
    with execution(role=role, side=side, submission_id="s", task=request.task) as current:
        try:
            value = run()
        except Exception as exc:  # noqa: BLE001 - a side that fails is data
            failure = Failure(kind=type(exc).__name__, message=str(exc))
    return Outcome(
        submission_id="s",
        task=request.task,
        side=side,
        role=role,
        state=State.FAILED if failure else State.SUCCEEDED,
        value=cast("JsonValue", value),
        failure=failure,
        effects=current.effects,
        elapsed_ms=0.0,
        started_at=started_at,
        ended_at=datetime.now(UTC),
        worker="test:1",
        flag_version=1,
    )


def legacy_outcome(shop: RunningShop, request: Request, role: Role) -> Outcome:
    """What the Celery task does. The provider's busy attempts are spent beforehand: an outcome keeps the last attempt's effects only."""
    if request.task == "payment.process_payment":
        payment_id = int(str(request.args[0]))
        shop.state.written.charge_attempts[payment_id] = catalogue.charge_failures(payment_id)

    def run() -> object:
        # A worker that ran in this process once leaves Celery believing that every wait is one inside a task.
        return legacy_app().tasks[request.task].apply(request.args, request.kwargs).get(disable_sync_subtasks=False)

    return outcome_of(request, side=Side.LEGACY, role=role, run=run)
