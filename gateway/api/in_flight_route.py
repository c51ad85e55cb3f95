"""`/v1/flags/{task}/in-flight`: what became of messages that waited while a flag changed."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from gateway.api.openapi.steps import READ_IN_FLIGHT
from gateway.api.services import services_of
from gateway.usecases.in_flight import InFlightCounts
from gateway.usecases.read_in_flight import newest_recall

__all__ = ["InFlightView", "WaitS", "router"]

router = APIRouter(tags=["flags"])
_encode = msgspec.json.Encoder().encode
WaitS = Annotated[float, Query(ge=0, le=30, allow_inf_nan=False, description="Seconds to wait for the counts of work in flight.")]


class InFlightView(msgspec.Struct, frozen=True, kw_only=True):
    """The latest version that may have taken cohort keys of the task off a side; None where none has."""

    version: int | None
    in_flight: InFlightCounts


@router.get("/flags/{task}/in-flight", response_class=Response, **READ_IN_FLIGHT)
async def read_in_flight(request: Request, task: str, wait_s: WaitS = 0.0) -> Response:
    """Look again at what a flag change has moved: complete, or as it is after `wait_s` seconds."""
    services = services_of(request)
    snapshot = services.flags.snapshot
    version = newest_recall(snapshot, task)
    counts = await services.read_in_flight.of(snapshot, version, wait_s=wait_s)
    return Response(_encode(InFlightView(version=version or None, in_flight=counts)), media_type="application/json")
