"""`/v1/queues`: what waits, and who takes it."""

from __future__ import annotations

from typing import Literal, cast

import msgspec
from fastapi import APIRouter, Request, Response

from gateway.api.openapi.operations import READ_QUEUES
from gateway.api.services import services_of
from gateway.usecases.read_queues import QueueReading

__all__ = ["QueueView", "QueuesView", "router"]

router = APIRouter(tags=["queues"])
_encode = msgspec.json.Encoder().encode
_Use = Literal["legacy", "events", "shadow", "dead", "records", "redirects"]


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """One queue."""

    name: str
    use: _Use
    """Work of either side, shadows, dead letters, records for comparators, or recalled work for gateways."""
    service: str
    """Whose it is; empty where it is nobody's alone."""
    ready: int | None
    """Messages that wait; null where the broker does not know the queue."""
    consumers: int | None
    stuck: bool
    """Whether something waits that nobody takes. Dead letters wait for people."""


class QueuesView(msgspec.Struct, frozen=True, kw_only=True):
    """Every queue the catalogue leads to."""

    queues: tuple[QueueView, ...]


@router.get("/queues", response_class=Response, **READ_QUEUES)
async def queues(request: Request) -> Response:
    """Every queue of tasks that workers have announced, and the gateway's own."""
    view = QueuesView(queues=tuple(map(_view, await services_of(request).queues.all())))
    return Response(_encode(view), media_type="application/json")


def _view(reading: QueueReading) -> QueueView:
    return QueueView(
        name=reading.name,
        use=cast("_Use", reading.use.name.lower()),
        service=reading.service,
        ready=reading.ready,
        consumers=reading.consumers,
        stuck=reading.stuck,
    )
