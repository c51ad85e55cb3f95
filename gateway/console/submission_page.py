"""One submission: what was asked, who was to run it and why, what both sides did, and where they differ."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from gateway.comparison import redacted_places
from gateway.console.page import redirect, render, segment, services_of
from gateway.console.pair import pair_of
from gateway.console.seal import sealed, unsealed
from gateway.console.timeline import timeline
from gateway.report.samples import NOTHING, sides_of

__all__ = ["submission", "submit_again"]


async def submission(request: Request) -> Response:
    """Raises `NotFound`, `StoreUnavailable`."""
    services = services_of(request)
    view = await services.read.view(request.path_params["id"])
    asked = view.submission
    ended = view.authority is not None and (view.decision.shadow is None or view.comparison is not None)
    return render(
        request,
        "submission.html.j2",
        view=view,
        pair=pair_of(view),
        moments=timeline(view),
        live=not ended,
        secrets=redacted_places({"args": list(asked.args), "kwargs": asked.kwargs}),
        again_of=unsealed(request, "again_of"),
        sides_of=sides_of,
        nothing=NOTHING,
        now=services.now(),
    )


async def submit_again(request: Request) -> Response:
    """The same arguments as a new submission. Raises what `SubmitAgain.submit` raises."""
    services, earlier = services_of(request), request.path_params["id"]
    submitted = await services.submit_again.submit(earlier)
    services.metrics.accepted(submitted.accepted.task, submitted.accepted.decision)
    return redirect(request, f"/submissions/{segment(submitted.accepted.id)}?{urlencode(sealed(request, 'again_of', earlier))}")
