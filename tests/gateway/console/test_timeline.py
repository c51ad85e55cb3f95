"""One submission's life in order."""

from __future__ import annotations

from datetime import timedelta

from dualrun.contracts import Role
from gateway.console.timeline import timeline
from gateway.core.report import SubmissionView
from tests.support.records import NOON, a_comparison, a_record, an_outcome


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
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)
    said = " | ".join(moment.text for moment in moments)
    for words in ("legacy answers, events observed", "due (eta)", "authority (legacy) started", "shadow (events) succeeded", "compared:"):
        assert words in said
