"""The console as an application of its own, to be mounted: its pages, its files, its errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.api.problem import Problem, problem_of
from gateway.api.route_access import RouteTable, declared
from gateway.api.services import Services
from gateway.console import (
    audit_page,
    breakers_page,
    dead_letters_page,
    difference_page,
    flags_page,
    login_page,
    oidc_page,
    submission_page,
    submissions_page,
    submit_page,
    task_page,
    tasks_page,
    workers_page,
)
from gateway.console.csrf import CsrfTokens
from gateway.console.page import problem_page
from gateway.console.same_site import SameSiteOnly
from gateway.core.errors import GatewayError

__all__ = ["create_console"]

_STATIC = Path(__file__).parent / "static"


def create_console(services: Callable[[], Services]) -> Starlette:
    """The console over the services of one process, asked for at each request: they may not be there yet when it is made."""
    console = Starlette(
        routes=[
            Route("/", tasks_page.tasks),
            Route("/login", login_page.login),
            Route("/login", login_page.log_in, methods=["POST"]),
            Route("/login/oidc", oidc_page.begin),
            Route("/login/oidc/callback", oidc_page.callback),
            Route("/logout", login_page.log_out, methods=["POST"]),
            # A Celery task may have any name, with slashes in it too.
            Route("/tasks/{task:path}/rollback", task_page.roll_back, methods=["POST"]),
            Route("/tasks/{task:path}/promote", task_page.promote, methods=["POST"]),
            Route("/tasks/{task:path}/hold", task_page.hold, methods=["POST"]),
            Route("/tasks/{task:path}/activity", task_page.activity),
            Route("/tasks/{task:path}/submit", submit_page.form, methods=["GET"]),
            Route("/tasks/{task:path}/submit", submit_page.submit, methods=["POST"]),
            Route("/tasks/{task:path}", task_page.task),
            Route("/differences/{fingerprint}", difference_page.difference, methods=["GET"]),
            Route("/differences/{fingerprint}", difference_page.triage, methods=["POST"]),
            Route("/differences/{fingerprint}/rule", difference_page.rule, methods=["POST"]),
            Route("/submissions", submissions_page.submissions),
            Route("/submissions/{id}", submission_page.submission),
            Route("/submissions/{id}/again", submission_page.submit_again, methods=["POST"]),
            Route("/flags", flags_page.history),
            Route("/flags/rollback", flags_page.roll_back, methods=["POST"]),
            Route("/flags/{version:int}", flags_page.version),
            Route("/audit", audit_page.audit),
            Route("/breakers", breakers_page.breakers),
            Route("/dead-letters", dead_letters_page.of_service),
            Route("/workers", workers_page.workers),
            Route("/dead-letters/replay", dead_letters_page.replay_chosen, methods=["POST"]),
            Route("/dead-letters/discard", dead_letters_page.discard_chosen, methods=["POST"]),
            Route("/dead-letters/{queue}/{id}", dead_letters_page.one),
            Route("/dead-letters/{queue}/{id}/replay", dead_letters_page.replay, methods=["POST"]),
            Route("/dead-letters/{queue}/{id}/discard", dead_letters_page.discard, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_STATIC), name="static"),
        ],
        middleware=[Middleware(SameSiteOnly), Middleware(CsrfTokens)],
        exception_handlers={GatewayError: _on_gateway_error, HTTPException: _on_http_error, Exception: _on_error},
    )
    console.state.services = services
    console.state.routes = RouteTable(declared(console.routes, "/console"))
    return console


async def _on_gateway_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, GatewayError)
    return problem_page(request, problem_of(exc))


async def _on_http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    title = "There is no such page" if exc.status_code == 404 else str(exc.detail)
    return problem_page(request, Problem(type="about:blank", title=title, status=exc.status_code, code="http_error", detail=""))


async def _on_error(request: Request, exc: Exception) -> Response:
    # The server's log has the traceback; the page has nothing of it, for it may quote what nobody should read.
    title, detail = (
        "Something went wrong here",
        "It is in the gateway's log. Nothing was changed unless you were told so; you can try again.",
    )
    return problem_page(request, Problem(type="about:blank", title=title, status=500, code="internal_error", detail=detail))
