"""One task: its way and what is proven on it, its workers, what its shadow showed, and the way back."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.api.page_headers import PAGE_HEADERS
from gateway.api.problem import Problem, problem_of
from gateway.api.services import Services
from gateway.console.charts import WINDOWS, Mark, Window, chart_data, dense
from gateway.console.observed import observed_of_task
from gateway.console.page import author_of, form_of, redirect, render, segment, services_of
from gateway.console.task_rows import TaskRow, row_of
from gateway.console.tasks_page import live_workers
from gateway.console.way import way_of
from gateway.core.errors import AccessDenied, GatewayError, NotFound, StoreUnavailable
from gateway.core.flag_change import FlagChange
from gateway.core.moment import as_utc
from gateway.report.samples import NOTHING, sides_of
from gateway.usecases.read_flag_history import VersionRead
from gateway.usecases.read_gate import GateReading

__all__ = ["activity", "hold", "promote", "roll_back", "task", "task_path"]

_VERSIONS_SEARCHED = 200
_VERSIONS_SHOWN = 8
_YOUNG = timedelta(hours=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """What was asked for here and not done, and what was typed for it."""

    problem: Problem
    at: str
    """Which form."""
    reason: str
    force: bool


async def task(request: Request) -> Response:
    """Raises `NotFound` where nobody serves, flags or observed a task of that name."""
    return await _page(request)


async def _page(request: Request, refused: _Refused | None = None) -> Response:
    services = services_of(request)
    name = request.path_params["task"]
    seen = await observed_of_task(services, name)
    # A task that was asked for is in the report, whether or not anything is known of it.
    summary = next((entry for entry in seen.summary.tasks if entry.report.task == name and (entry.report.counts or entry.groups)), None)
    row = row_of(name, snapshot=services.flags.snapshot, workers=live_workers(services, name), summary=summary)
    if not (row.flagged or services.catalogue.served_by(name) or summary):
        raise NotFound(f"nobody serves, flags or has observed a task named {name!r}")
    versions = await _versions(services, row)
    return render(
        request,
        "task.html.j2",
        status=200 if refused is None else refused.problem.status,
        refused=refused,
        row=row,
        reading=await _reading(services, row),
        way=way_of(row.flag),
        versions=None if versions is None else versions[:_VERSIONS_SHOWN],
        away=seen.away,
        served=bool(services.catalogue.served_by(name)),
        windows=WINDOWS,
        now=services.now(),
        sides=services.sides,
        sides_of=sides_of,
        nothing=NOTHING,
    )


async def activity(request: Request) -> Response:
    """What the charts are drawn of, as JSON: `window` is one of `WINDOWS`; without, the shortest that shows all of a young task."""
    services, name, now = services_of(request), request.path_params["task"], services_of(request).now()
    asked = request.query_params.get("window", "")
    window = next((one for one in WINDOWS if one.name == asked), WINDOWS[1])
    points = await services.browser.activity([name], since=now - window.reach, until=now, step_s=window.step_s)
    of_task = points.get(name, ())
    if not asked and (not of_task or now - of_task[0].at < _YOUNG):
        window = WINDOWS[0]
    since = now - window.reach
    row = row_of(name, snapshot=services.flags.snapshot, workers={}, summary=None)
    marks = await _marks(services, row, window)
    data = chart_data(dense(of_task, since=since, until=now, step_s=window.step_s), marks, window.step_s)
    return JSONResponse({"window": window.name, **data}, headers=PAGE_HEADERS)


async def roll_back(request: Request) -> Response:
    """Take the task to mode legacy. It may be repeated."""
    name, form = request.path_params["task"], await form_of(request)
    reason = form.get("reason") or "rolled back in the console"
    asked = services_of(request).roll_back.task(name, to_version=None, author=author_of(request), reason=reason, source="console")
    return await _done(request, asked, at="rollback", form=form)


async def promote(request: Request) -> Response:
    """One step forward; `force` does it without evidence, for a reason."""
    name = request.path_params["task"]
    form = await form_of(request)
    reason, force = form.get("reason", ""), form.get("force") == "yes"
    asked = services_of(request).promote.promote(
        name, to=None, force=force, author=author_of(request), reason=reason, source="console", evidence=None
    )
    return await _done(request, asked, at="promote", form=form)


async def hold(request: Request) -> Response:
    """Keep the task where it is, or release it."""
    name = request.path_params["task"]
    form = await form_of(request)
    held = form.get("held") == "yes"
    said = form.get("reason", "")
    asked = services_of(request).promote.hold(name, held=held, author=author_of(request), reason=said, source="console")
    return await _done(request, asked, at="hold", form=form)


async def _done(request: Request, asked: Awaitable[object], *, at: str, form: Mapping[str, str]) -> Response:
    """The task as it is then; where the change is refused, the page it was asked for on, with why and what was typed."""
    try:
        await asked
    except (NotFound, AccessDenied):
        raise
    except GatewayError as exc:
        typed = _Refused(problem=problem_of(exc), at=at, reason=form.get("reason", ""), force=form.get("force") == "yes")
        return await _page(request, typed)
    return redirect(request, task_path(request.path_params["task"]))


async def _reading(services: Services, row: TaskRow) -> GateReading | None:
    """What the gate sees; None where no flag names the task. Without the ledger nothing is proven."""
    if not row.flagged:
        return None
    try:
        return await services.gate.read(row.task)
    except StoreUnavailable:
        try:
            return await services.gate.read_without_evidence(row.task)
        except StoreUnavailable:
            return None


async def _versions(services: Services, row: TaskRow) -> list[VersionRead] | None:
    """The latest versions that changed its flag; None while the store is away."""
    try:
        page = await services.flag_history.page(before=None, limit=_VERSIONS_SEARCHED)
    except StoreUnavailable:
        return None
    return [read for read in page.versions if any(change.task == row.flag.task for change in read.changes)]


async def _marks(services: Services, row: TaskRow, window: Window) -> list[Mark]:
    """The changes of its flag in that time, the oldest first."""
    since = services.now() - window.reach
    read = [one for one in await _versions(services, row) or () if as_utc(one.snapshot.changed_at) >= since]
    return [
        Mark(as_utc(one.snapshot.changed_at), one.snapshot.version, _in_words(change))
        for one in reversed(read)
        for change in one.changes
        if change.task == row.flag.task
    ]


def _in_words(change: FlagChange) -> str:
    members = (f"{one.member} {one.before or 'none'} → {one.after or 'none'}" for one in change.members)
    return ", ".join(members) or change.kind


def task_path(name: str) -> str:
    """The page of a task."""
    return f"/tasks/{segment(name)}"
