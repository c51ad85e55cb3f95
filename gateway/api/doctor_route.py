"""`/v1/doctor`: is everything there; `/v1/doctor/{task}`: can it be moved, and what stands in the way."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.api.openapi.operations import READ_DOCTOR, READ_INSTALLATION
from gateway.api.services import services_of

__all__ = ["router"]

router = APIRouter(tags=["reports"])
_encode = msgspec.json.Encoder().encode


@router.get("/doctor", response_class=Response, **READ_INSTALLATION)
async def of_everything(request: Request) -> Response:
    """Broker, Redis, ledger, queue arguments, clocks, workers and versions, as this gateway sees them."""
    return Response(_encode(await services_of(request).examine_installation()), media_type="application/json")


@router.get("/doctor/{task}", response_class=Response, **READ_DOCTOR)
async def of_task(request: Request, task: str) -> Response:
    """Ready or blocked, with the reason and what to do; and the safety class that fits the effects seen."""
    return Response(_encode(await services_of(request).examine(task)), media_type="application/json")
