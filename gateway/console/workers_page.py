"""Queues and workers: what waits, who takes it, and who was seen last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from gateway.console.breakers_page import worst_first
from gateway.console.page import render, services_of
from gateway.core.errors import StoreUnavailable
from gateway.usecases.read_queues import QueueReading

__all__ = ["workers"]


async def workers(request: Request) -> Response:
    """Works while the broker or Redis is away: then it says so."""
    services = services_of(request)
    queues: Sequence[QueueReading] = ()
    queues_away = breakers_away = None
    try:
        queues = await services.queues.all()
    except StoreUnavailable as exc:
        queues_away = str(exc)
    try:
        breakers = worst_first(await services.breakers.read())
    except StoreUnavailable as exc:
        breakers, breakers_away = [], str(exc)
    now = services.now()
    known = [(worker, now - timedelta(seconds=worker.seen_s_ago)) for worker in services.catalogue.workers()]
    return render(
        request,
        "workers.html.j2",
        queues=sorted(queues, key=lambda reading: (not reading.stuck, reading.ready is None)),
        queues_away=queues_away,
        workers=sorted(known, key=lambda one: (not one[0].alive, one[0].side, one[0].name)),
        current=services.catalogue.current,
        breakers=breakers,
        breakers_away=breakers_away,
        now=now,
    )
