"""`/v1/reports/shadow`: what the shadows showed, as JSON, Markdown or HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from gateway.api import openapi
from gateway.api.services import services_of
from gateway.core.report import ShadowReport
from gateway.report import render_html, render_json, render_markdown

__all__ = ["Format", "router"]

router = APIRouter(tags=["reports"])


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


@dataclass(frozen=True, slots=True)
class _Writer:
    render: Callable[[ShadowReport], str | bytes]
    media_type: str


_WRITERS: Mapping[Format, _Writer] = {
    Format.JSON: _Writer(render_json, "application/json"),
    Format.MARKDOWN: _Writer(render_markdown, "text/markdown; charset=utf-8"),
    Format.HTML: _Writer(render_html, "text/html; charset=utf-8"),
}
_Since = Annotated[datetime | None, Query(description="From this instant on (RFC 3339); open where left out.")]
_Until = Annotated[datetime | None, Query(description="Up to this instant (RFC 3339); open where left out.")]
_Format = Annotated[Format | None, Query(description="Left out: HTML for a browser, JSON otherwise.")]


@router.get("/reports/shadow", response_class=Response, **openapi.READ_REPORT)
async def every_task(request: Request, since: _Since = None, until: _Until = None, format: _Format = None) -> Response:  # noqa: A002
    """Per shadowed task: every verdict counted, match rate with its 95 % bound, latency of both roles, difference groups."""
    return await _report(request, None, since, until, format)


@router.get("/reports/shadow/{task}", response_class=Response, **openapi.READ_REPORT)
async def one_task(request: Request, task: str, since: _Since = None, until: _Until = None, format: _Format = None) -> Response:  # noqa: A002
    """The same for one task."""
    return await _report(request, task, since, until, format)


async def _report(request: Request, task: str | None, since: datetime | None, until: datetime | None, asked: Format | None) -> Response:
    services = services_of(request)
    report = await services.ledger.shadow_report(task, since=since, until=until, now=services.now())
    writer = _WRITERS[asked or _preferred(request)]
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(writer.render(report), media_type=writer.media_type, headers=headers)


def _preferred(request: Request) -> Format:
    return Format.HTML if "text/html" in request.headers.get("accept", "") else Format.JSON
