"""One submission's life in order."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from dualrun.contracts import Redirected, Role, Side
from gateway.console.timeline import Moment, is_close, timeline
from gateway.core.audit import AuditEntry
from gateway.core.report import SubmissionView
from tests.support.records import NOON, a_comparison, a_record, an_outcome


def a_view(**known: object) -> SubmissionView:
    record = a_record()
    return SubmissionView(submission=record.submission, decision=record.decision, **known)  # type: ignore[arg-type]  # each test names its own few


def test_a_run_that_was_retried_says_how_often_and_after_how_long_and_when_the_last_attempt_began() -> None:
    retried = msgspec.structs.replace(
        an_outcome(elapsed_ms=10), attempts=3, retry_delays_s=(1.0, 4.0), ended_at=NOON + timedelta(seconds=6)
    )
    moments = timeline(a_view(authority=retried))
    assert [moment.text for moment in moments[2:]] == [
        "authority (legacy) attempt 3 started",
        "authority (legacy) succeeded at attempt 3 (retried after 1 s, 4 s) after 10 ms",
    ]
    assert moments[2].at == NOON + timedelta(seconds=6, milliseconds=-10)


def test_a_move_by_a_change_of_flags_stands_before_the_start() -> None:
    moved = timeline(a_view(redirected=Redirected(times=1, side=Side.EVENTS, decided_under=3), authority=an_outcome()))
    assert moved[0].text == "submitted; events was to answer"
    assert moved[1].text.startswith("moved from events to legacy before it started: flags version 3 had sent it there")
    assert "started on" in moved[2].text


def test_a_cancel_is_told_with_who_asked_and_whether_it_was_refused() -> None:
    said = [moment.text for moment in timeline(a_view(), [a_cancel(202), a_cancel(409)])]
    assert said[1:] == ["cancel asked for by ann", "cancel asked for by ann, and refused (409)"]


def a_cancel(status: int) -> AuditEntry:
    return AuditEntry(
        id=str(status), at=NOON + timedelta(seconds=status), actor="ann", via="token", credential="", address="",
        action="task.cancel", target="s1", reason="", detail="", status=status,
    )  # fmt: skip


def test_milliseconds_are_needed_where_two_moments_lie_within_a_second() -> None:
    apart = [Moment(NOON, "a"), Moment(None, "b"), Moment(NOON + timedelta(seconds=1), "c")]
    assert not is_close(apart)
    assert is_close([*apart, Moment(NOON + timedelta(seconds=1.5), "d")])


def test_what_is_known_stands_in_order_of_time() -> None:
    record = a_record(eta=NOON + timedelta(seconds=1))
    view = SubmissionView(
        submission=record.submission,
        decision=record.decision,
        authority=an_outcome(started_at=NOON + timedelta(seconds=2)),
        shadow=an_outcome(role=Role.SHADOW, started_at=NOON + timedelta(seconds=3)),
        comparison=a_comparison(),
    )
    moments = timeline(view)
    known = [moment.at for moment in moments if moment.at is not None]
    assert len(known) == len(moments)
    assert known == sorted(known)
    said = " | ".join(moment.text for moment in moments)
    for words in ("legacy answers, events observed", "due (eta)", "authority (legacy) started", "shadow (events) succeeded", "compared:"):
        assert words in said
