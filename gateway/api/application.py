"""The FastAPI application over the services of one process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount
from starlette.types import Lifespan, Receive, Scope, Send

from dualrun.breakers import SharedBreaker
from gateway.api import (
    audit_route,
    breaker_route,
    dead_letter_route,
    difference_route,
    doctor_route,
    event_stream_route,
    flag_body,
    flag_history_route,
    flag_route,
    flag_view,
    gate_route,
    gate_view,
    in_flight_route,
    operation_route,
    queue_route,
    report_route,
    rollback_route,
    task_route,
    token_route,
)
from gateway.api.direct import DirectRoutes
from gateway.api.docs_page import docs
from gateway.api.guard import Guard
from gateway.api.openapi.document import document
from gateway.api.problem import Problem, add_problem_handlers
from gateway.api.route_access import Declared, RouteTable, declared
from gateway.api.services import Services
from gateway.core.cancellation import Cancelled
from gateway.core.dead_letter import DeadLetter
from gateway.core.errors import GatewayError, NotFound
from gateway.core.installation import Installation
from gateway.core.notice import Notice
from gateway.core.readiness import Readiness
from gateway.core.request import TaskRequest
from gateway.usecases.submit_task import Accepted

__all__ = ["Console", "create_application", "openapi_document"]

_TYPES: tuple[type, ...] = (
    TaskRequest,
    Accepted,
    task_route.BatchAnswer,
    task_route.TaskView,
    task_route.ResultView,
    Cancelled,
    flag_body.FlagBody,
    flag_body.FlagsBody,
    flag_view.FlagView,
    flag_view.FlagSetView,
    flag_view.FlagsView,
    flag_view.FlagsChangeView,
    flag_view.HistoryView,
    flag_view.VersionView,
    rollback_route.RollbackBody,
    rollback_route.RollbackView,
    in_flight_route.InFlightView,
    gate_view.GateView,
    gate_route.PromoteBody,
    gate_route.HoldBody,
    gate_route.PromotedView,
    Notice,
    DeadLetter,
    SharedBreaker,
    breaker_route.BreakersView,
    queue_route.QueuesView,
    dead_letter_route.DeadLettersView,
    dead_letter_route.DiscardBody,
    difference_route.DifferencesView,
    difference_route.DifferenceView,
    difference_route.TriageBody,
    Readiness,
    token_route.TokenBody,
    token_route.TokenView,
    token_route.TokenCreatedView,
    token_route.TokensView,
    Installation,
    audit_route.AuditView,
    Problem,
)
_REPORT = "/v1/reports/shadow?format=html"
_DESCRIPTION = """Submit tasks; flags send each to Celery, to event handlers, or to both with one as a shadow.
What the two sides did is compared and reported."""


_ROUTERS = (
    ("/v1", task_route.router),
    # Before the flags: there `history` would be a task's name.
    ("/v1", flag_history_route.router),
    ("/v1", rollback_route.router),
    ("/v1", gate_route.router),
    ("/v1", in_flight_route.router),
    ("/v1", flag_route.router),
    ("/v1", breaker_route.router),
    ("/v1", queue_route.router),
    ("/v1", dead_letter_route.router),
    ("/v1", difference_route.router),
    ("/v1", doctor_route.router),
    ("/v1", report_route.router),
    ("/v1", event_stream_route.router),
    ("/v1", token_route.router),
    ("/v1", audit_route.router),
    ("", operation_route.router),
)

Console = Callable[[Callable[[], Services]], Starlette]
"""Makes the pages under `/console`, over the services of the process."""


def create_application(
    services: Services | None = None, lifespan: Lifespan[FastAPI] | None = None, *, console: Console | None = None
) -> Guard:
    """The application. Give `services`, or a `lifespan` that sets `app.state.services`."""
    app, served = _framework(lifespan)
    if services is not None:
        app.state.services = services
    refusals = None
    if console is not None:
        pages = console(lambda: app.state.services)
        app.mount("/console", pages)
        served += declared(pages.routes, "/console")
        refusals = _refusals(pages)
        served.append(Declared("GET", "/docs"))
        app.add_route("/docs", docs, include_in_schema=False)
    served.append(Declared("GET", "/"))
    app.add_api_route("/", partial(_redirect, "/console/" if console is not None else _REPORT), include_in_schema=False)
    direct = DirectRoutes(app, {"/v1/tasks": task_route.submit, "/v1/tasks/batch": task_route.submit_batch})
    return Guard(direct, RouteTable(served), lambda: app.state.services, refusals=refusals)


def openapi_document() -> dict[str, Any]:
    """The API's description, as a running gateway serves it."""
    return _framework(None)[0].openapi()


def _framework(lifespan: Lifespan[FastAPI] | None) -> tuple[FastAPI, list[Declared]]:
    """The API without anything behind it, and the routes it declares."""
    app = FastAPI(
        title="dualrun",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # The gateway writes its own spans and metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    served: list[Declared] = declared(app.routes)
    for prefix, router in _ROUTERS:
        app.include_router(router, prefix=prefix)
        served += declared(router.routes, prefix)
    add_problem_handlers(app)
    app.openapi = partial(document, app, _TYPES)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return app, served


def _refusals(pages: Starlette) -> Starlette:
    """The pages with nothing to serve: whatever is asked, the answer is their own page for why it was refused."""
    empty = Starlette(routes=[Mount("/", _refuse)], exception_handlers=pages.exception_handlers)
    empty.state = pages.state
    return Starlette(routes=[Mount("/console", empty)])


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    refusal: GatewayError = scope["refusal"]
    raise HTTPException(404) if isinstance(refusal, NotFound) else refusal


async def _redirect(target: str) -> Response:
    return RedirectResponse(target)
