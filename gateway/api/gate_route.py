"""`/v1/flags/{task}/gate`, `.../promote` and `.../hold`: what is proven, and the steps forward."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.api.body import decode, read_body
from gateway.api.caller import author_of
from gateway.api.flag_body import ChangeMade, evidence_of
from gateway.api.flag_route import check_task, etag_of
from gateway.api.gate_view import StepView, gate_view_of
from gateway.api.in_flight_route import WaitS
from gateway.api.openapi.steps import HOLD, PROMOTE, READ_GATE
from gateway.api.services import Services, services_of
from gateway.core.errors import FieldError, FlagRejected
from gateway.core.flag_change import FlagChange
from gateway.core.step import Step, parse_step
from gateway.usecases.in_flight import InFlightCounts
from gateway.usecases.promote_task import Promoted

__all__ = ["HoldBody", "PromoteBody", "PromotedView", "router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
_To = Annotated[str, msgspec.Meta(max_length=40, description="A step such as `canary 1 %`; left out: the next one.")]


class PromoteBody(ChangeMade, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to, who and why. All of it may be left out, and so may the body."""

    to: _To | None = None
    force: Annotated[bool, msgspec.Meta(description="Without evidence; `reason` is then required.")] = False


class HoldBody(ChangeMade, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who and why. All of it may be left out, and so may the body."""

    held: Annotated[bool, msgspec.Meta(description="false releases it.")] = True


class PromotedView(msgspec.Struct, frozen=True, kw_only=True):
    """The version in force and the step the task is on. Without `changes` it was so already, and no version was made."""

    version: int
    step: StepView
    changed: bool
    changes: tuple[FlagChange, ...]
    in_flight: InFlightCounts | None = None
    """Messages that waited on a side the step took cohort keys off; None where it took none."""


_Body = TypeVar("_Body", PromoteBody, HoldBody)
_promote_decoder = msgspec.json.Decoder(PromoteBody)
_hold_decoder = msgspec.json.Decoder(HoldBody)


@router.get("/flags/{task}/gate", response_class=Response, **READ_GATE)
async def read_gate(request: Request, task: str) -> Response:
    """Where a task stands, what is proven so far, what is still missing, and what a step forward or a rollback would change.

    A task whose flag carries no gate is judged by the usual one; nothing is done about it.
    """
    check_task(task)
    services = services_of(request)
    reading = await services.gate.read(task)
    view = gate_view_of(reading, await services.gate.last_verdict(task))
    return Response(_encode(view), media_type="application/json", headers=etag_of(reading.snapshot))


@router.post("/flags/{task}/promote", response_class=Response, **PROMOTE)
async def promote(request: Request, task: str, wait_s: WaitS = 0.0) -> Response:
    """Take a task one step forward, where the evidence allows it; or with `force` and a reason. Any step back needs neither.

    What waits on a side that the step takes cohort keys off goes along; the answer counts it, as it is after `wait_s` seconds.
    """
    check_task(task)
    services = services_of(request)
    body = await _body(request, services, _promote_decoder, PromoteBody())
    done = await services.promote.promote(
        task,
        to=_step(body.to),
        force=body.force,
        author=author_of(request, body.author),
        reason=body.reason,
        source=body.source,
        evidence=evidence_of(body.evidence),
    )
    (services.metrics.promoted if done.is_forward else services.metrics.rolled_back)(body.source)
    return _answer(done, await services.read_in_flight.moved_by(done.snapshot, wait_s=wait_s))


@router.post("/flags/{task}/hold", response_class=Response, **HOLD)
async def hold(request: Request, task: str) -> Response:
    """Keep a task where it is: nobody takes it forward, the gate included, until `held: false` releases it. It may be repeated."""
    check_task(task)
    services = services_of(request)
    body = await _body(request, services, _hold_decoder, HoldBody())
    done = await services.promote.hold(task, held=body.held, author=author_of(request, body.author), reason=body.reason, source=body.source)
    return _answer(done)


async def _body(request: Request, services: Services, decoder: msgspec.json.Decoder[_Body], empty: _Body) -> _Body:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return empty
    return decode(await read_body(request, services.settings.max_body_bytes), decoder, services.settings.max_json_depth)


def _step(text: str | None) -> Step | None:
    if text is None:
        return None
    try:
        return parse_step(text)
    except ValueError as exc:
        raise FlagRejected(f"/to: {exc}", [FieldError("/to", str(exc))]) from exc


def _answer(done: Promoted, in_flight: InFlightCounts | None = None) -> Response:
    view = PromotedView(
        version=done.snapshot.version,
        step=StepView.of(done.step),
        changed=bool(done.changes),
        changes=done.changes,
        in_flight=in_flight,
    )
    return Response(_encode(view), media_type="application/json", headers=etag_of(done.snapshot))
