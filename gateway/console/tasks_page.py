"""The first page: every task, how far it is on its way, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from dualrun.contracts import Side
from gateway.api.services import Services
from gateway.console.charts import Sparkline, dense, sparkline_of
from gateway.console.observed import observed_of_all
from gateway.console.page import render, services_of
from gateway.console.task_rows import Standing, TaskRow, matching, task_rows
from gateway.core.activity import HOUR_S, ActivityPoint
from gateway.core.errors import StoreUnavailable
from gateway.core.gate import GateVerdict
from gateway.usecases.read_queues import QueueReading

__all__ = ["live_workers", "tasks"]

_LONGEST_SEARCH = 200
_PAGE = 50
_REACH = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Recently:
    """A task's last day."""

    ran: int
    throughput: Sparkline
    legacy: Sparkline
    events: Sparkline
    dead_lettered: int


async def tasks(request: Request) -> Response:
    """Trouble first; `q` searches the names, `standing` filters, `page` counts from 1."""
    services = services_of(request)
    seen = await observed_of_all(services)
    snapshot = services.flags.snapshot
    names = {*services.catalogue.names(), *snapshot.flags, *(task.report.task for task in seen.summary.tasks)}
    rows = task_rows(services.catalogue.names(), snapshot, seen.summary, {name: live_workers(services, name) for name in names})
    text, standing = request.query_params.get("q", "")[:_LONGEST_SEARCH], request.query_params.get("standing", "")
    found = matching(rows, text, standing)
    pages = max(1, -(-len(found) // _PAGE))
    number = min(_number(request.query_params.get("page", "")), pages)
    shown = found[(number - 1) * _PAGE : number * _PAGE]
    return render(
        request,
        "tasks.html.j2",
        rows=shown,
        recently=await _recently(services, shown),
        words=await _gate_words(services, shown),
        buried=await _buried(services),
        found=len(found),
        total=len(rows),
        number=number,
        pages=pages,
        text=text,
        standing=standing,
        standings=[(one, sum(row.standing is one for row in rows)) for one in Standing],
        snapshot=snapshot,
        now=services.now(),
        away=seen.away,
        sides=services.sides,
    )


def live_workers(services: Services, task: str) -> Mapping[Side, int]:
    """Workers alive now that serve the task, per side."""
    return {side: services.catalogue.live_workers(side, task) for side in services.sides}


async def _recently(services: Services, rows: Sequence[TaskRow]) -> Mapping[str, Recently]:
    now = services.now()
    since = now - _REACH
    try:
        activity = await services.browser.activity([row.task for row in rows], since=since, until=now, step_s=HOUR_S)
    except StoreUnavailable:
        return {}
    return {task: _of_a_day(dense(points, since=since, until=now, step_s=HOUR_S)) for task, points in activity.items()}


def _of_a_day(steps: Sequence[ActivityPoint]) -> Recently:
    ran = [point.answered(Side.LEGACY) + point.answered(Side.EVENTS) for point in steps]
    legacy, events = [point.mean_ms(Side.LEGACY) for point in steps], [point.mean_ms(Side.EVENTS) for point in steps]
    slowest = max((value for value in (*legacy, *events) if value is not None), default=0.0)
    return Recently(
        ran=sum(ran),
        throughput=sparkline_of([float(n) for n in ran]),
        legacy=sparkline_of(legacy, slowest),
        events=sparkline_of(events, slowest),
        dead_lettered=sum(point.dead_lettered for point in steps),
    )


async def _gate_words(services: Services, rows: Sequence[TaskRow]) -> Mapping[str, GateVerdict]:
    """What the gate said last of the tasks one watches."""
    try:
        return await services.browser.gate_words([row.task for row in rows if row.flag.gate is not None])
    except StoreUnavailable:
        return {}


async def _buried(services: Services) -> Sequence[QueueReading]:
    """The queues in which dead letters wait for a person; none where the broker cannot be asked."""
    try:
        return [reading for reading in await services.queues.dead_letters() if reading.ready]
    except StoreUnavailable:
        return ()


def _number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1
