"""Whether a task can be moved, and which safety class fits it, from what was observed of it. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from dualrun.contracts import EffectKind, JsonValue, Outcome, Safety, ServedTask, Side, Submission
from gateway.core.moment import as_utc
from gateway.core.ports import CallerAct
from gateway.core.report import SubmissionView
from gateway.core.safety_class import fitting_class

__all__ = ["Finding", "Level", "Readiness", "examine"]

_CARRIED = frozenset({"datetime", "date", "time", "decimal", "uuid", "base64", "bytes"})
"""kombu's typed objects that both sides read alike."""
_ENOUGH = 30
_LARGE_BYTES = 256 * 1024
_NEAR = 0.8
_CONSUMER_TIMEOUT_S = 1_800.0
"""RabbitMQ closes the channel of a consumer that has not settled a delivery for so long, unless told otherwise."""
_ALIKE_WITHIN_S = 60.0


class Level(StrEnum):
    """What a finding means for the move, worst first."""

    BLOCKED = "blocked"
    WATCH = "watch"
    FINE = "fine"


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at."""

    what: str
    level: Level
    seen: str
    """What was observed."""
    do: str = ""
    """What to do about it."""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a task."""

    task: str
    observed: int
    """Submissions looked at: the latest."""
    ready: bool
    safety: Safety
    """The class that fits what was seen."""
    safety_because: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Observed:
    submissions: Sequence[Submission]
    authorities: Sequence[Outcome]
    served: Mapping[Side, ServedTask]
    deadline_s: float
    max_body_bytes: int
    services: Collection[str]
    callers: Mapping[CallerAct, int] | None
    ran_again: int
    shadows: Sequence[Outcome]


def examine(
    task: str,
    views: Sequence[SubmissionView],
    served: Mapping[Side, ServedTask],
    *,
    deadline_s: float,
    max_body_bytes: int,
    services: Collection[str] = (),
    callers: Mapping[CallerAct, int] | None = None,
    ran_again: int = 0,
) -> Readiness:
    """Look at everything there is; the task is ready where nothing blocks it and enough was seen.

    `services` are those of the events side that have a handler for it, and a worker alive; `callers` what callers did, None where that is
    not known; `ran_again` how often work that had ended ran once more.
    """
    authorities = [view.authority for view in views if view.authority is not None]
    shadows = [view.shadow for view in views if view.shadow is not None]
    submissions = [view.submission for view in views]
    seen = _Observed(submissions, authorities, served, deadline_s, max_body_bytes, services, callers, ran_again, shadows)
    looks = (*_OF_MESSAGES, *_OF_RUNS, *_OF_CALLERS)
    findings = tuple(finding for look in looks for finding in look(seen))
    safety, because = fitting_class(authorities)
    return Readiness(
        task=task,
        observed=len(views),
        ready=all(finding.level is not Level.BLOCKED for finding in findings),
        safety=safety,
        safety_because=because,
        findings=tuple(sorted(findings, key=lambda finding: list(Level).index(finding.level))),
    )


def _traffic(seen: _Observed) -> Iterator[Finding]:
    n = len(seen.submissions)
    if n < _ENOUGH:
        do = f"send it through the gateway in mode legacy until {_ENOUGH} submissions were seen"
        yield Finding(what="traffic", level=Level.BLOCKED if n == 0 else Level.WATCH, seen=f"{n} submissions", do=do)
    else:
        yield Finding(what="traffic", level=Level.FINE, seen=f"{n} submissions")


def _handler(seen: _Observed) -> Iterator[Finding]:
    if Side.EVENTS in seen.served:
        yield Finding(what="handler", level=Level.FINE, seen="an event handler serves it")
    else:
        yield Finding(what="handler", level=Level.BLOCKED, seen="no event handler serves it", do="write one: @handler with the task's name")


def _services(seen: _Observed) -> Iterator[Finding]:
    handler = seen.served.get(Side.EVENTS)
    others = sorted(set(seen.services) - {handler.service}) if handler is not None else []
    if handler is not None and others:
        yield Finding(
            what="services",
            level=Level.WATCH,
            seen=f"{handler.service!r} runs it, {', '.join(map(repr, others))} would, too",
            do="take the handler out of all services but one, or have the others subscribe to an event of its own",
        )


def _serializer(seen: _Observed) -> Iterator[Finding]:
    legacy = seen.served.get(Side.LEGACY)
    if legacy is not None and legacy.serializer != "json":
        yield Finding(
            what="serializer", level=Level.BLOCKED, seen=f"its messages are {legacy.serializer}", do="set serializer='json' on the task"
        )


def _arguments(seen: _Observed) -> Iterator[Finding]:
    strange = Counter(kind for one in seen.submissions for kind in _types_in([*one.args, *one.kwargs.values()]) if kind not in _CARRIED)
    for kind, n in strange.most_common(3):
        yield Finding(
            what="arguments",
            level=Level.BLOCKED,
            seen=f"{kind!r} in {n} arguments",
            do="pass what JSON carries, such as an id",
        )


def _values(seen: _Observed) -> Iterator[Finding]:
    strange = sum("repr" in _types_in(one.value) for one in seen.authorities)
    if strange:
        yield Finding(
            what="value", level=Level.WATCH, seen=f"{strange} values JSON cannot carry", do="return plain data: only its repr is compared"
        )


def _sizes(seen: _Observed) -> Iterator[Finding]:
    largest = max((len(msgspec.json.encode((one.args, one.kwargs))) for one in seen.submissions), default=0)
    if largest > seen.max_body_bytes:
        yield Finding(
            what="size", level=Level.BLOCKED, seen=f"{largest:,} bytes", do=f"pass a reference: the gateway takes {seen.max_body_bytes:,}"
        )
    elif largest > _LARGE_BYTES:
        yield Finding(what="size", level=Level.WATCH, seen=f"{largest:,} bytes", do="pass a reference: every message is published twice")
    elif seen.submissions:
        yield Finding(what="size", level=Level.FINE, seen=f"{largest:,} bytes at most")


def _run_time(seen: _Observed) -> Iterator[Finding]:
    if not seen.authorities:
        return
    longest_s = max(one.elapsed_ms for one in seen.authorities) / 1e3
    legacy = seen.served.get(Side.LEGACY)
    limits = (legacy.soft_time_limit_s, legacy.time_limit_s) if legacy is not None else ()
    limit_s = min((limit for limit in limits if limit), default=None)
    if longest_s > seen.deadline_s:
        do = f"raise DUALRUN_COMPARE_DEADLINE_S above it: pairs wait for {seen.deadline_s:g} s"
        yield Finding(what="run time", level=Level.BLOCKED, seen=f"{longest_s:.1f} s", do=do)
    elif limit_s is not None and longest_s > _NEAR * limit_s:
        do = f"give the handler more than that: time_limit_s={max(math.ceil(2 * longest_s), math.ceil(limit_s))}"
        yield Finding(what="run time", level=Level.WATCH, seen=f"{longest_s:.3g} s of the {limit_s:g} s its limit allows", do=do)
    elif longest_s > _CONSUMER_TIMEOUT_S:
        do = "raise RabbitMQ's consumer_timeout above it, or split the work: an event is settled when its handler ends"
        yield Finding(what="run time", level=Level.WATCH, seen=f"{longest_s / 60:.0f} min", do=do)
    else:
        yield Finding(what="run time", level=Level.FINE, seen=f"{longest_s:.3g} s at most")


def _connections(seen: _Observed) -> Iterator[Finding]:
    places = Counter(place for one in seen.authorities for place in one.connections_uncaptured)
    if places:
        told = ", ".join(f"{place} in {n}" for place, n in places.most_common(3))
        more = f" and {len(places) - 3} more places" if len(places) > 3 else ""
        yield Finding(
            what="connections",
            level=Level.WATCH,
            seen=f"{told}{more} of {len(seen.authorities)} runs, past every capture: what it does there is not known",
            do="a shadow is refused them; where it is safe, let workers declare them in DUALRUN_SHADOW_ALLOW (docs/safety.md)",
        )


def _answers(seen: _Observed) -> Iterator[Finding]:
    early = sum(one.calls_unanswered > 0 for one in seen.shadows)
    if early:
        longest_s = max((one.elapsed_ms for one in seen.authorities), default=0.0) / 1e3
        do = f"give the flag a shadow_delay_s above the {longest_s:.3g} s its longest run took, queueing added"
        told = f"{early} of {len(seen.shadows)} shadows made calls before their authority's answers were there"
        yield Finding(what="answers", level=Level.WATCH, seen=told, do=do)


def _limits(seen: _Observed) -> Iterator[Finding]:
    legacy = seen.served.get(Side.LEGACY)
    if legacy is None:
        return
    if legacy.rate_limit:
        do = "bound the handler's concurrency instead; where it must be a rate, limit it at the client that makes the calls"
        yield Finding(what="rate limit", level=Level.WATCH, seen=legacy.rate_limit, do=do)
    if legacy.soft_time_limit_s:
        do = (
            f"give the handler time_limit_s={legacy.soft_time_limit_s:g}: it is cancelled, "
            "and sees CancelledError instead of SoftTimeLimitExceeded"
        )
        yield Finding(what="soft time limit", level=Level.WATCH, seen=f"{legacy.soft_time_limit_s:g} s", do=do)


def _schedules(seen: _Observed) -> Iterator[Finding]:
    etas = ((one.options.eta, one.submitted_at) for one in seen.submissions)
    ahead_s = [(as_utc(eta) - as_utc(submitted_at)).total_seconds() for eta, submitted_at in etas if eta is not None]
    expiring = sum(one.options.expires is not None for one in seen.submissions)
    if ahead_s:
        farthest_s = max(ahead_s)
        said = f"in {len(ahead_s)} submissions, up to {timedelta(seconds=round(max(0.0, farthest_s)))} ahead"
        if farthest_s > _CONSUMER_TIMEOUT_S:
            do = "nothing for the handler; a Celery worker holds them unacknowledged: raise RabbitMQ's consumer_timeout above it"
            yield Finding(what="countdown and eta", level=Level.WATCH, seen=said, do=do)
        else:
            yield Finding(what="countdown and eta", level=Level.FINE, seen=f"{said}; both sides honour them")
    if expiring:
        yield Finding(what="expires", level=Level.FINE, seen=f"in {expiring} submissions; both sides honour them")


def _canvas(seen: _Observed) -> Iterator[Finding]:
    used = Counter(part for one in seen.authorities for part in one.canvas)
    if used:
        said = ", ".join(f"{part} in {n}" for part, n in used.most_common())
        do = "publish the next event where the last step ends; a chord's join needs a handler that counts (docs/write-a-handler.md)"
        yield Finding(what="canvas", level=Level.WATCH, seen=f"{said} of {len(seen.authorities)} runs", do=do)


def _results(seen: _Observed) -> Iterator[Finding]:
    legacy = seen.served.get(Side.LEGACY)
    asked = (seen.callers or {}).get(CallerAct.RESULT_ASKED, 0)
    if asked:
        do = "have callers wait at /v1/tasks/{id}/result while both sides run; let them listen for an event before the gateway goes"
        yield Finding(what="results waited for", level=Level.WATCH, seen=f"{asked:,} times through the gateway", do=do)
    elif legacy is not None and legacy.ignores_result:
        yield Finding(what="results waited for", level=Level.FINE, seen="never: the task stores none")
    elif seen.callers is None:
        do = "ask again once Redis is back"
        yield Finding(what="results waited for", level=Level.WATCH, seen="not known: the counts are out of reach", do=do)
    else:
        do = "look for .get() on it in your code: dualrun migrate scan names the places"
        yield Finding(what="results waited for", level=Level.FINE, seen="never through the gateway", do=do)


def _duplicates(seen: _Observed) -> Iterator[Finding]:
    repeated = (seen.callers or {}).get(CallerAct.KEY_REPEATED, 0)
    if repeated:
        said = f"{repeated:,} requests came again under their Idempotency-Key and were not run again"
        yield Finding(what="repeated requests", level=Level.FINE, seen=said)
    alike = _submitted_again(seen.submissions)
    if alike:
        do = "send an Idempotency-Key with each request, or make the handler idempotent"
        said = f"{alike} of {len(seen.submissions)} had the arguments of another within {_ALIKE_WITHIN_S:g} s"
        yield Finding(what="duplicates", level=Level.WATCH, seen=said, do=do)
    if seen.ran_again:
        do = "declare it idempotent only if it is: a broker delivers again when a worker dies before it acknowledges"
        yield Finding(what="duplicates", level=Level.WATCH, seen=f"{seen.ran_again:,} runs of what had ended before", do=do)
    if seen.submissions and not alike and not seen.ran_again:
        yield Finding(what="duplicates", level=Level.FINE, seen="none")


def _submitted_again(submissions: Sequence[Submission]) -> int:
    latest: dict[bytes, datetime] = {}
    again = 0
    for one in sorted(submissions, key=lambda one: as_utc(one.submitted_at)):
        if not (one.args or one.kwargs):
            # A task without arguments is a clock's: it comes the same every time.
            continue
        key, at = msgspec.json.encode((one.args, one.kwargs), order="sorted"), as_utc(one.submitted_at)
        again += key in latest and (at - latest[key]).total_seconds() <= _ALIKE_WITHIN_S
        latest[key] = at
    return again


def _retries(seen: _Observed) -> Iterator[Finding]:
    most = max((one.attempts for one in seen.authorities), default=1)
    if most > 1:
        yield Finding(what="retries", level=Level.WATCH, seen=f"up to {most} attempts", do="give the handler max_attempts, retry_delay_s")


def _children(seen: _Observed) -> Iterator[Finding]:
    children = Counter(
        effect.key for one in seen.authorities for effect in one.effects if effect.kind in (EffectKind.MESSAGE, "task")
    ).most_common(3)
    if children:
        names = ", ".join(name for name, _ in children)
        yield Finding(what="children", level=Level.WATCH, seen=f"it publishes {names}", do="have the handler publish the same")


_Look = Callable[[_Observed], Iterator[Finding]]
_OF_MESSAGES: tuple[_Look, ...] = (_traffic, _handler, _services, _serializer, _arguments, _values, _sizes)
_OF_RUNS: tuple[_Look, ...] = (_run_time, _connections, _answers, _limits, _schedules, _retries, _canvas, _children)
_OF_CALLERS: tuple[_Look, ...] = (_results, _duplicates)


def _types_in(value: JsonValue) -> Iterator[str]:
    todo: list[JsonValue] = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, Mapping):
            if set(one) == {"__type__", "__value__"}:
                yield str(one["__type__"])
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            todo.extend(one)
