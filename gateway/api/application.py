"""The FastAPI application over the services of one process."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from starlette.types import Lifespan

from gateway.api import (
    dead_letter_route,
    flag_history_route,
    flag_route,
    flag_view,
    openapi,
    operation_route,
    report_route,
    rollback_route,
    task_route,
)
from gateway.api.direct import DirectRoutes
from gateway.api.problem import Problem, add_problem_handlers
from gateway.api.services import Services
from gateway.core.dead_letter import DeadLetter
from gateway.core.request import TaskRequest
from gateway.usecases.submit_task import Accepted

__all__ = ["create_application"]

_TYPES: tuple[type, ...] = (
    TaskRequest,
    Accepted,
    task_route.BatchAnswer,
    task_route.TaskView,
    task_route.ResultView,
    flag_view.FlagBody,
    flag_view.FlagsBody,
    flag_view.FlagView,
    flag_view.FlagsView,
    flag_view.FlagsChangeView,
    flag_view.HistoryView,
    flag_view.VersionView,
    rollback_route.RollbackBody,
    rollback_route.RollbackView,
    DeadLetter,
    dead_letter_route.DeadLettersView,
    dead_letter_route.DiscardBody,
    Problem,
)
_DESCRIPTION = """Submit tasks; flags send each to Celery, to event handlers, or to both with one as a shadow.
What the two sides did is compared and reported."""


def create_application(services: Services | None = None, lifespan: Lifespan[FastAPI] | None = None) -> DirectRoutes:
    """The application. Give `services`, or a `lifespan` that sets `app.state.services`."""
    app = FastAPI(
        title="dualrun",
        version="1",
        description=_DESCRIPTION,
        lifespan=lifespan,
        redoc_url=None,
        # The gateway writes its own spans and metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    if services is not None:
        app.state.services = services
    app.include_router(task_route.router, prefix="/v1")
    # Before the flags: there `history` would be a task's name.
    app.include_router(flag_history_route.router, prefix="/v1")
    app.include_router(rollback_route.router, prefix="/v1")
    app.include_router(flag_route.router, prefix="/v1")
    app.include_router(dead_letter_route.router, prefix="/v1")
    app.include_router(report_route.router, prefix="/v1")
    app.include_router(operation_route.router)
    app.add_api_route("/", _home, include_in_schema=False)
    add_problem_handlers(app)
    app.openapi = partial(openapi.document, app, _TYPES)  # type: ignore[method-assign]  # FastAPI's documented way to extend the document
    return DirectRoutes(app, {"/v1/tasks": task_route.submit, "/v1/tasks/batch": task_route.submit_batch})


async def _home(_: Request) -> Response:
    return RedirectResponse("/v1/reports/shadow?format=html")
