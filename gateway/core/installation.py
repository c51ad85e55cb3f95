"""Whether everything a gateway stands on is there and fits together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from dualrun.contracts import Mode, Side
from gateway.core.flags import FlagSnapshot
from gateway.core.known_worker import KnownWorker
from gateway.core.readiness import Finding, Level
from gateway.core.routing import answering_sides

__all__ = ["Installation", "PartFacts", "clock_finding", "installation_of", "part_finding", "worker_findings"]

_SKEW_SEEN = timedelta(seconds=1)
_SKEW_BLOCKS = timedelta(seconds=30)
_NAMED = 3
_DO: Mapping[str, str] = {
    "broker": "start RabbitMQ, or set DUALRUN_AMQP_URL; until then nothing is accepted",
    "redis": "start Redis, or set DUALRUN_REDIS_URL; until then the last known flags decide",
    "ledger": "start the database, or set DUALRUN_LEDGER_URL; until then reports and gate stand still",
    "flags file": "mend the file: it is applied as soon as it can be read; until then the flags before it decide",
}


@dataclass(frozen=True, slots=True)
class PartFacts:
    """What a part says of itself."""

    version: str
    clock: datetime | None = None


class Installation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was looked at."""

    ready: bool
    at: datetime
    """By the gateway's clock."""
    versions: dict[str, str]
    findings: tuple[Finding, ...]


def installation_of(at: datetime, versions: Mapping[str, str], findings: Sequence[Finding]) -> Installation:
    """Ready where nothing blocks."""
    return Installation(
        ready=all(finding.level is not Level.BLOCKED for finding in findings), at=at, versions=dict(versions), findings=tuple(findings)
    )


def part_finding(name: str, trouble: str | None) -> Finding:
    """Whether a part answers."""
    if trouble is None:
        return Finding(what=name, level=Level.FINE, seen="answers")
    return Finding(what=name, level=Level.BLOCKED, seen=trouble, do=_DO.get(name, "look at its log"))


def clock_finding(name: str, ahead: timedelta) -> Finding:
    """How far a clock is ahead of the gateway's; times of submissions, deadlines and etas are compared across them."""
    seen = f"{abs(ahead).total_seconds():.1f} s {'ahead of' if ahead > timedelta() else 'behind'} the gateway's"
    if abs(ahead) <= _SKEW_SEEN:
        return Finding(what=f"clock of {name}", level=Level.FINE, seen="as the gateway's, within a second")
    level = Level.BLOCKED if abs(ahead) > _SKEW_BLOCKS else Level.WATCH
    return Finding(what=f"clock of {name}", level=level, seen=seen, do="let NTP set the clocks of all machines")


def worker_findings(workers: Sequence[KnownWorker], flags: FlagSnapshot, served: Collection[str], *, is_current: bool) -> Iterator[Finding]:
    """Who is alive on each side, and which tasks have nobody on the side that answers."""
    if not is_current:
        yield Finding(what="workers", level=Level.WATCH, seen="nothing is heard of them while Redis is away", do=_DO["redis"])
        return
    alive = [worker for worker in workers if worker.alive]
    for side in Side:
        yield _side_finding(side, [worker for worker in workers if worker.side is side])
    deserted = sorted(
        task
        for task in served
        for side in answering_sides(_mode_of(flags, task))
        if not any(worker.side is side and task in worker.tasks for worker in alive)
    )
    if deserted:
        named = ", ".join(deserted[:_NAMED]) + (f" and {len(deserted) - _NAMED} more" if len(deserted) > _NAMED else "")
        yield Finding(
            what="tasks without a worker",
            level=Level.BLOCKED,
            seen=f"nobody alive on the side that answers for {named}",
            do="start workers of that side, or `dualrun rollback TASK`",
        )


def _mode_of(flags: FlagSnapshot, task: str) -> Mode:
    flag = flags.flag_for(task)
    return Mode.LEGACY if flag is None else flag.mode


def _side_finding(side: Side, workers: Sequence[KnownWorker]) -> Finding:
    alive = [worker for worker in workers if worker.alive]
    silent = [worker.name for worker in workers if not worker.alive]
    what = f"workers of {side.value}"
    if not alive:
        how = "load legacy_celery.capture into the Celery workers" if side is Side.LEGACY else "start `python -m event_handlers`"
        return Finding(what=what, level=Level.WATCH, seen="none alive", do=f"{how}, with DUALRUN_REDIS_URL set")
    tasks = {task for worker in alive for task in worker.tasks}
    seen = f"{len(alive)} alive, {len(tasks)} tasks"
    if silent:
        return Finding(what=what, level=Level.WATCH, seen=f"{seen}; silent: {', '.join(silent[:_NAMED])}", do="look at their logs")
    return Finding(what=what, level=Level.FINE, seen=seen)
