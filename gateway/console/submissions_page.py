"""Looking for submissions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.services import Services
from gateway.console.page import redirect, render, segment, services_of
from gateway.core.comparison import Verdict
from gateway.core.search import SubmissionSearch
from gateway.report.words import VERDICTS

__all__ = ["submissions"]

_LONGEST = 500
_FIELDS = ("id", "task", "verdict", "period", "since", "until", "before")
_DIFFERS, _SAME, _WAITING = "differs", "same", "waiting"
_GROUPS: Mapping[str, str] = {_DIFFERS: "any difference", _SAME: "no difference", _WAITING: "waiting for an outcome"}
_PERIODS: Mapping[str, timedelta] = {
    "15 min": timedelta(minutes=15),
    "1 h": timedelta(hours=1),
    "24 h": timedelta(hours=24),
    "7 d": timedelta(days=7),
}


async def submissions(request: Request) -> Response:
    """By id, task, verdict and time; a whole id leads to its submission. Raises `StoreUnavailable`."""
    services = services_of(request)
    asked = {name: request.query_params.get(name, "").strip()[:_LONGEST] for name in _FIELDS}
    id_ = asked["id"]
    if id_ and await services.ledger.submission(id_) is not None:
        return redirect(request, f"/submissions/{segment(id_)}")
    page = await services.browser.search(_search(services, asked))
    return render(
        request,
        "submissions.html.j2",
        page=page,
        before=None if page.next_before is None else _place(page.next_before),
        asked=asked,
        names=sorted(services.catalogue.names()),
        groups=_GROUPS,
        verdicts=VERDICTS,
        periods=list(_PERIODS),
        searched=any(asked.get(name) for name in ("id", "task", "verdict", "period", "since", "until")),
        by_comparison=asked.get("verdict", "") not in ("", _WAITING),
    )


def _search(services: Services, asked: Mapping[str, str]) -> SubmissionSearch:
    verdict = asked.get("verdict", "")
    since, until = _moment(asked.get("since", "")), _moment(asked.get("until", ""))
    reach = _PERIODS.get(asked.get("period", ""))
    if reach is not None:
        since, until = services.now() - reach, None
    return SubmissionSearch(
        task=asked.get("task") or None,
        id_starts=asked.get("id") or None,
        verdicts=_verdicts(verdict),
        waiting=verdict == _WAITING,
        since=since,
        until=until,
        before=_before(asked.get("before", "")),
    )


def _verdicts(asked: str) -> Collection[Verdict] | None:
    if asked == _DIFFERS:
        return [verdict for verdict in Verdict if verdict.is_different]
    if asked == _SAME:
        return [verdict for verdict in Verdict if verdict.is_same]
    return [Verdict(asked)] if asked in list(Verdict) else None


def _moment(text: str) -> datetime | None:
    """A time as a form sends it; without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _place(place: tuple[datetime, str]) -> str:
    return f"{place[0].isoformat()}~{place[1]}"


def _before(text: str) -> tuple[datetime, str] | None:
    at, _, id_ = text.partition("~")
    moment = _moment(at)
    return None if moment is None or not id_ else (moment, id_)
