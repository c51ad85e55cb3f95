"""`/v1/reports/shadow`: what the shadows showed, as JSON, Markdown, HTML, CSV or JUnit's XML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.api.openapi.evidence import READ_REPORT
from gateway.api.services import services_of
from gateway.core.report import KEY_PAIRS, ReportScope, ShadowReport
from gateway.report import render_csv, render_html, render_json, render_junit, render_markdown

__all__ = ["Format", "router"]

router = APIRouter(tags=["reports"])


class Format(StrEnum):
    """How a report is written."""

    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JUNIT = "junit"


@dataclass(frozen=True, slots=True)
class _Writer:
    render: Callable[[ShadowReport], str | bytes]
    media_type: str


_WRITERS: Mapping[Format, _Writer] = {
    Format.JSON: _Writer(render_json, "application/json"),
    Format.MARKDOWN: _Writer(render_markdown, "text/markdown; charset=utf-8"),
    Format.HTML: _Writer(render_html, "text/html; charset=utf-8"),
    Format.CSV: _Writer(render_csv, "text/csv; charset=utf-8"),
    Format.JUNIT: _Writer(render_junit, "application/xml; charset=utf-8"),
}


def _scope(
    since: Annotated[datetime | None, Query(description="From this instant on (RFC 3339); open where left out.")] = None,
    until: Annotated[datetime | None, Query(description="Up to this instant (RFC 3339); open where left out.")] = None,
    flag_version: Annotated[int | None, Query(description="Only submissions decided by this version of the flags.", ge=0)] = None,
    cohort: Annotated[
        str | None, Query(description="Only submissions this targeting rule of a flag decided; empty for those no rule did.")
    ] = None,
    cohort_key: Annotated[
        str | None,
        Query(
            description=f"Only submissions with this cohort key: the latest {KEY_PAIRS:,} pairs that are still kept.",
            min_length=1,
        ),
    ] = None,
) -> ReportScope:
    return ReportScope(since=since, until=until, flag_version=flag_version, cohort=cohort, cohort_key=cohort_key)


_Scope = Annotated[ReportScope, Depends(_scope)]
_Format = Annotated[Format | None, Query(description="Left out: HTML for a browser, JSON otherwise.")]


@router.get("/reports/shadow", response_class=Response, **READ_REPORT)
async def every_task(
    request: Request,
    scope: _Scope,
    format: _Format = None,  # noqa: A002 - the parameter's name
) -> Response:
    """Per shadowed task: what is advised and why, every verdict counted, match rate with its 95 % bound, latency, difference groups."""
    return await _report(request, scope, format)


@router.get("/reports/shadow/{task}", response_class=Response, **READ_REPORT)
async def one_task(
    request: Request,
    task: str,
    scope: _Scope,
    format: _Format = None,  # noqa: A002 - the parameter's name
) -> Response:
    """The same for one task."""
    return await _report(request, replace(scope, task=task), format)


async def _report(request: Request, scope: ReportScope, asked: Format | None) -> Response:
    services = services_of(request)
    report = await services.ledger.shadow_report(scope, now=services.now())
    writer = _WRITERS[asked or _preferred(request)]
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(writer.render(report), media_type=writer.media_type, headers=headers)


def _preferred(request: Request) -> Format:
    return Format.HTML if "text/html" in request.headers.get("accept", "") else Format.JSON
