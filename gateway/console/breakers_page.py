"""Circuit breakers: what handlers do not call for now, because it keeps failing."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from dualrun.breakers import BreakerState, SharedBreaker
from gateway.console.page import render, services_of
from gateway.core.errors import StoreUnavailable

__all__ = ["breakers", "worst_first"]


async def breakers(request: Request) -> Response:
    """Those of all services, the open ones on top."""
    try:
        found, away = await services_of(request).breakers.read(), None
    except StoreUnavailable as exc:
        found, away = (), str(exc)
    return render(request, "breakers.html.j2", breakers=worst_first(found), breakers_away=away)


def worst_first(found: Sequence[SharedBreaker]) -> list[SharedBreaker]:
    """Open, half open, closed; within these by service and name."""
    return sorted(found, key=lambda breaker: (-BreakerState[breaker.state.upper()], breaker.service, breaker.name))
