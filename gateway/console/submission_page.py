"""One submission: what was asked, who was to run it and why, what both sides did, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.services import Services
from gateway.comparison import redacted_places
from gateway.console.page import redirect, render, segment, services_of
from gateway.console.pair import pair_of
from gateway.console.seal import sealed, unsealed
from gateway.console.timeline import is_close, timeline
from gateway.core.audit import AuditEntry, AuditQuery
from gateway.core.errors import StoreUnavailable
from gateway.report.samples import NOTHING, sides_of

__all__ = ["submission", "submit_again"]

_CANCELS = 10


async def submission(request: Request) -> Response:
    """Raises `NotFound`, `StoreUnavailable`."""
    services = services_of(request)
    view = await services.read.view(request.path_params["id"])
    asked = view.submission
    moments = timeline(view, await _cancels(services, asked.id))
    ended = view.authority is not None and (view.decision.shadow is None or view.comparison is not None)
    return render(
        request,
        "submission.html.j2",
        view=view,
        pair=pair_of(view),
        moments=moments,
        close=is_close(moments),
        live=not ended,
        secrets=redacted_places({"args": list(asked.args), "kwargs": asked.kwargs}),
        again_of=unsealed(request, "again_of"),
        sides_of=sides_of,
        nothing=NOTHING,
        now=services.now(),
    )


async def _cancels(services: Services, id_: str) -> Sequence[AuditEntry]:
    """What was done to cancel it; nothing where the ledger cannot say."""
    try:
        found = await services.audit.page(AuditQuery(action="task.cancel", target=id_, limit=_CANCELS))
    except StoreUnavailable:
        return ()
    return found.entries


async def submit_again(request: Request) -> Response:
    """The same arguments as a new submission. Raises what `SubmitAgain.submit` raises."""
    services, earlier = services_of(request), request.path_params["id"]
    submitted = await services.submit_again.submit(earlier)
    services.metrics.accepted(submitted.accepted.task, submitted.accepted.decision)
    return redirect(request, f"/submissions/{segment(submitted.accepted.id)}?{urlencode(sealed(request, 'again_of', earlier))}")
