"""How a page is written: templates that escape everything, and headers that let it ask nobody but us."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.body import read_bounded
from gateway.api.caller import author_of as caller_author
from gateway.api.caller import caller_of
from gateway.api.guard import SESSION_COOKIE
from gateway.api.page_headers import PAGE_HEADERS
from gateway.api.problem import Problem
from gateway.api.services import Services
from gateway.console.controls import controls_of
from gateway.core.access import Via
from gateway.core.flags import percent_of
from gateway.core.moment import as_utc
from gateway.report.words import DIFFERENCES, VERDICTS, counted, duration, instant, percent, visible

__all__ = [
    "CSRF_FIELD",
    "arguments_form_of",
    "author_of",
    "chosen_in",
    "csrf_token_of",
    "form_of",
    "page_path",
    "problem_page",
    "redirect",
    "render",
    "segment",
    "services_of",
]

CSRF_FIELD = "csrf"
_POST_FORM = re.compile(r'<form\b[^>]*\bmethod="post"[^>]*>')
_LONGEST_FORM_BYTES = 20_000
_LONGEST_LIST_BYTES = 400_000
_LONGEST_VALUE = 500
_MAY_BREAK = Markup("<wbr>")


def services_of(request: Request) -> Services:
    """The services of the process that serves this request."""
    services = request.app.state.services()
    assert isinstance(services, Services)
    return services


def render(request: Request, template: str, *, status: int = 200, **context: object) -> Response:
    """A page; `context` is what its template names."""
    root = request.scope.get("root_path", "")
    caller = caller_of(request)
    controls = controls_of(request, services_of(request))
    text = (
        _environment()
        .get_template(template)
        .render(
            root=root,
            path=request.url.path,
            here=request.url.path.removeprefix(root),
            query=dict(request.query_params),
            caller=caller,
            has_session=caller.via is Via.SESSION,
            may=controls.may,
            needed=controls.needed,
            **context,
        )
    )
    if caller.via is Via.SESSION:
        # Every form, so that none can forget it. What callers say is escaped: no `<form` of theirs is in the text.
        text = _POST_FORM.sub(rf'\g<0><input type="hidden" name="{CSRF_FIELD}" value="{csrf_token_of(request)}">', text)
    return HTMLResponse(text, status_code=status, headers=PAGE_HEADERS)


def problem_page(request: Request, problem: Problem) -> Response:
    """What went wrong, written for people."""
    return render(request, "problem.html.j2", status=problem.status, problem=problem)


def csrf_token_of(request: Request) -> str:
    """What the forms of the request's session send along; empty where access control is off."""
    authenticator = services_of(request).authenticator
    return "" if authenticator is None else authenticator.csrf_token(request.cookies.get(SESSION_COOKIE, ""))


def redirect(request: Request, path: str) -> Response:
    """Go and see what came of it; a reload of that page sends nothing again."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}{path}", status_code=303, headers=PAGE_HEADERS)


def page_path(request: Request, path: str, **query: str) -> str:
    """Where a page of the console is, for a link or a redirect of the page itself."""
    asked = urlencode({name: value for name, value in query.items() if value})
    return f"{request.scope.get('root_path', '')}{path}{'?' if asked else ''}{asked}"


def author_of(request: Request) -> str:
    """Whom a change is put down to."""
    return caller_author(request, "console")


async def form_of(request: Request) -> Mapping[str, str]:
    """What the fields of a form hold, cut to a bound. Raises `BadRequest` 413."""
    return {name: value.strip()[:_LONGEST_VALUE] for name, value in await _pairs_of(request, _LONGEST_FORM_BYTES)}


async def arguments_form_of(request: Request, longest_bytes: int) -> Mapping[str, str]:
    """What the fields of a form hold, as it was typed. Raises `BadRequest` 413."""
    return {name: value.replace("\r\n", "\n") for name, value in await _pairs_of(request, longest_bytes)}


async def chosen_in(request: Request, name: str) -> tuple[Sequence[str], Mapping[str, str]]:
    """Every value of a field that may be there many times, and the other fields. Raises `BadRequest` 413."""
    pairs = await _pairs_of(request, _LONGEST_LIST_BYTES)
    return [value for field, value in pairs if field == name], {
        field: value.strip()[:_LONGEST_VALUE] for field, value in pairs if field != name
    }


async def _pairs_of(request: Request, longest_bytes: int) -> Sequence[tuple[str, str]]:
    body = await read_bounded(request, longest_bytes)
    return parse_qsl(body.decode(errors="replace"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        counted=counted,
        duration=duration,
        instant=instant,
        instant_ms=_instant_ms,
        percent=percent,
        visible=visible,
        share=_share,
        segment=segment,
        pretty=_pretty,
        breakable=_breakable,
    )
    environment.globals.update(verdict_words=VERDICTS, difference_words=DIFFERENCES, iso=_iso)
    return environment


def _share(share: int) -> str:
    """Hundred-thousandths as people say them."""
    return f"{percent_of(share):g} %"


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def _breakable(text: str) -> Markup:
    """A name that may be broken where people would break it."""
    escaped = escape(visible(text))
    for sign in "._/":
        escaped = escaped.replace(sign, sign + _MAY_BREAK)
    return escaped


def _pretty(value: object) -> str:
    return visible(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _instant_ms(moment: datetime) -> str:
    return f"{as_utc(moment):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def _iso(moment: datetime) -> str:
    return moment.isoformat()
