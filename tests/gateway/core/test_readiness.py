"""What observed traffic says of a task."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count

import msgspec
import pytest

from dualrun.contracts import Effect, JsonValue, Role, Safety, ServedTask, Side
from gateway.core.ports import CallerAct
from gateway.core.readiness import Finding, Level, Readiness, examine
from gateway.core.report import SubmissionView
from tests.support.records import NOON, a_record, an_outcome

_HOURS = count()
BOTH = {side: ServedTask(task="shop.charge") for side in Side}


def a_view(*effects: Effect, args: tuple[JsonValue, ...] = (1,), ahead_s: float | None = None, **outcome: object) -> SubmissionView:
    at = NOON + timedelta(hours=next(_HOURS))
    record = a_record(args=args, submitted_at=at, eta=None if ahead_s is None else at + timedelta(seconds=ahead_s))
    done = msgspec.structs.replace(an_outcome(role=Role.AUTHORITY), effects=effects, **outcome)
    return SubmissionView(submission=record.submission, decision=record.decision, authority=done)


def examined(
    *views: SubmissionView,
    served: dict[Side, ServedTask] | None = None,
    callers: dict[CallerAct, int] | None = None,
    ran_again: int = 0,
) -> Readiness:
    return examine(
        "shop.charge",
        views,
        BOTH if served is None else served,
        deadline_s=300.0,
        max_body_bytes=1_000_000,
        callers=callers or {},
        ran_again=ran_again,
    )


def test_a_shadow_ahead_of_its_authoritys_answers_is_told_what_delay_it_needs() -> None:
    view = a_view(elapsed_ms=2_500.0)
    ahead = msgspec.structs.replace(an_outcome(role=Role.SHADOW), calls_unanswered=1)
    assert level(examined(*[replace(view, shadow=an_outcome(role=Role.SHADOW))] * 40), "answers") is None
    finding = next(one for one in examined(*[replace(view, shadow=ahead)] * 40).findings if one.what == "answers")
    assert finding.level is Level.WATCH
    assert "shadow_delay_s above the 2.5 s" in finding.do


def level(readiness: Readiness, what: str) -> Level | None:
    return next((finding.level for finding in readiness.findings if finding.what == what), None)


def test_an_ordinary_task_is_ready() -> None:
    readiness = examined(*(a_view() for _ in range(40)))
    assert readiness.ready
    assert {finding.level for finding in readiness.findings} == {Level.FINE}


@pytest.mark.parametrize(
    ("views", "what"),
    [
        ([a_view(args=({"__type__": "shop.models.Order", "__value__": {}},))] * 40, "arguments"),
        ([a_view(args=("x" * 1_100_000,))], "size"),
        ([a_view(elapsed_ms=400_000.0)], "run time"),
        ([], "traffic"),
    ],
)
def test_what_blocks_a_task_says_what_to_do(views: list[SubmissionView], what: str) -> None:
    readiness = examined(*views)
    assert not readiness.ready
    assert level(readiness, what) is Level.BLOCKED
    assert readiness.findings[0].do


@pytest.mark.parametrize("kind", ["datetime", "decimal", "uuid"])
def test_typed_values_both_sides_read_alike_block_nothing(kind: str) -> None:
    assert examined(*[a_view(args=({"__type__": kind, "__value__": "1"},))] * 40).ready


def test_how_the_workers_serve_it_counts() -> None:
    pickled = ServedTask(task="shop.charge", serializer="pickle", rate_limit="10/m", soft_time_limit_s=30.0)
    readiness = examined(*[a_view()] * 40, served={Side.LEGACY: pickled})
    assert (level(readiness, "serializer"), level(readiness, "handler")) == (Level.BLOCKED, Level.BLOCKED)
    assert (level(readiness, "rate limit"), level(readiness, "soft time limit")) == (Level.WATCH, Level.WATCH)


def test_retries_children_and_schedules_are_seen() -> None:
    readiness = examined(*[a_view(Effect(kind="message", key="mail.receipt"), ahead_s=60, attempts=3)] * 40)
    seen = {finding.what: finding.level for finding in readiness.findings}
    assert (seen["retries"], seen["children"], seen["countdown and eta"]) == (Level.WATCH, Level.WATCH, Level.FINE)


@pytest.mark.parametrize(
    ("effects", "safety"),
    [
        ((), Safety.PURE),
        ((Effect(kind="http", key="GET http://shop/orders/1"),), Safety.PURE),
        ((Effect(kind="http", key="POST http://shop/orders/1"),), Safety.SANDBOXED),
        ((Effect(kind="sql", key="INSERT orders id=1"),), Safety.SANDBOXED),
        ((Effect(kind="sql", key="UPDATE orders id=1"),), Safety.SANDBOXED),
        ((Effect(kind="object", key="COPY s3://media/a"),), Safety.SANDBOXED),
        ((Effect(kind="sqs", key="SendMessage sqs"),), Safety.SANDBOXED),
        ((Effect(kind="http", key="PUT http://shop/orders/1"), Effect(kind="cache", key="SET cart:1")), Safety.IDEMPOTENT),
        ((Effect(kind="object", key="PUT s3://media/a"), Effect(kind="sql", key="DELETE orders id=1")), Safety.IDEMPOTENT),
        ((Effect(kind="cache", key="SET cart:1"), Effect(kind="cache", key="INCRBY count")), Safety.SANDBOXED),
        ((Effect(kind="ledger", key="SET cart:1"),), Safety.SANDBOXED),
    ],
)
def test_the_safety_class_follows_from_the_effects(effects: tuple[Effect, ...], safety: Safety) -> None:
    assert examined(a_view(*effects)).safety is safety


@pytest.mark.parametrize(
    ("effect", "asks"),
    [
        (Effect(kind="object", key="PUT s3://media/a"), False),
        (Effect(kind="file", key="WRITE /srv/a"), False),
        (Effect(kind="dynamodb", key="PutItem dynamodb"), False),
        (Effect(kind="ledger", key="book 7"), True),
    ],
)
def test_only_effects_nobody_captures_are_left_to_the_task_to_hold_back(effect: Effect, asks: bool) -> None:
    assert ("effect()" in examined(a_view(effect)).safety_because) is asks


def test_a_task_that_goes_past_the_captures_is_not_taken_for_pure() -> None:
    readiness = examined(*[a_view()] * 30, *[a_view(connections_uncaptured=("db.shop:3306",))] * 2)
    assert readiness.safety is Safety.UNSAFE
    assert "db.shop:3306" in readiness.safety_because
    told = finding(readiness, "connections")
    assert told.level is Level.WATCH
    assert "db.shop:3306 in 2 of 32 runs" in told.seen
    assert "DUALRUN_SHADOW_ALLOW" in told.do


def test_pure_says_what_it_rests_on() -> None:
    assert "drivers in C" in examined(a_view()).safety_because


def test_effects_that_were_not_kept_allow_no_class() -> None:
    assert examined(a_view(effects_dropped=1)).safety is Safety.UNSAFE


def test_two_services_with_a_handler_are_told_of() -> None:
    served = {**BOTH, Side.EVENTS: ServedTask(task="shop.charge", service="shop")}
    readiness = examine("shop.charge", [], served, deadline_s=300.0, max_body_bytes=1_000_000, services={"shop", "depot"})
    (finding,) = [finding for finding in readiness.findings if finding.what == "services"]
    assert finding.seen == "'shop' runs it, 'depot' would, too"
    alone = examine("shop.charge", [], served, deadline_s=300.0, max_body_bytes=1_000_000, services={"shop"})
    assert level(alone, "services") is None


def finding(readiness: Readiness, what: str) -> Finding:
    return next(finding for finding in readiness.findings if finding.what == what)


LIMITED = ServedTask(task="shop.charge", time_limit_s=30.0)
WATCHED = [
    (
        examined(a_view(elapsed_ms=25_000), served={Side.LEGACY: ServedTask(task="shop.charge", time_limit_s=30.0)}),
        "run time",
        "time_limit_s=50",
    ),
    (examined(a_view(ahead_s=7_200)), "countdown and eta", "consumer_timeout"),
    (examined(a_view(canvas=("chord", "group"))), "canvas", "next event"),
    (examined(a_view(), callers={CallerAct.RESULT_ASKED: 3}), "results waited for", "/v1/tasks/{id}/result"),
    (examined(a_view(), ran_again=2), "duplicates", "acknowledges"),
    (examined(*[a_view()] * 2), "duplicates", "Idempotency-Key"),
]


@pytest.mark.parametrize(("readiness", "what", "do"), WATCHED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_to_be_watched_says_what_to_do(readiness: Readiness, what: str, do: str) -> None:
    found = finding(readiness, what)
    assert found.level is Level.WATCH
    assert do in found.do


def test_a_task_without_arguments_is_a_clocks_and_no_duplicate() -> None:
    assert finding(examined(*[a_view(args=())] * 2), "duplicates").seen == "none"


def test_a_result_that_is_never_stored_is_waited_for_by_nobody() -> None:
    readiness = examined(a_view(), served={Side.LEGACY: ServedTask(task="shop.charge", ignores_result=True)})
    assert finding(readiness, "results waited for").seen == "never: the task stores none"


def test_requests_that_came_again_under_their_key_are_no_harm() -> None:
    assert finding(examined(a_view(), callers={CallerAct.KEY_REPEATED: 4}), "repeated requests").level is Level.FINE


def test_counts_that_are_out_of_reach_are_said_to_be() -> None:
    unknown = examine("shop.charge", [a_view()], BOTH, deadline_s=300.0, max_body_bytes=1_000_000, callers=None)
    assert "not known" in finding(unknown, "results waited for").seen
