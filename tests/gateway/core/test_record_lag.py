"""Up to when everything is on record, told from the records that come off the queue."""

from __future__ import annotations

from datetime import timedelta

from gateway.core.record_lag import RecordLag
from tests.support.records import NOON, a_record, an_outcome

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def test_without_a_sign_of_lag_everything_is_known() -> None:
    assert RecordLag().known_until(NOON) == NOON


def test_records_that_waited_say_how_far_behind_their_reader_is() -> None:
    lag = RecordLag()
    lag.read([an_outcome(started_at=NOON - MINUTE, elapsed_ms=0.0), a_record(submitted_at=NOON - 10 * MINUTE)], NOON)
    assert lag.known_until(NOON + SECOND) == NOON + SECOND - MINUTE
    lag.read([an_outcome(started_at=NOON + SECOND, elapsed_ms=0.0)], NOON + 2 * SECOND)
    assert lag.known_until(NOON + 2 * SECOND) == NOON + SECOND


def test_a_queue_that_brings_nothing_more_is_read_to_its_end() -> None:
    lag = RecordLag()
    lag.read([an_outcome(started_at=NOON - MINUTE, elapsed_ms=0.0)], NOON)
    assert lag.known_until(NOON + MINUTE) == NOON + MINUTE


def test_nothing_is_known_of_the_time_the_queue_is_out_of_reach() -> None:
    lag = RecordLag()
    for second in range(60):
        lag.out_of_reach(NOON + second * SECOND)
    assert lag.known_until(NOON + MINUTE) == NOON
    lag.read([an_outcome(started_at=NOON + MINUTE, elapsed_ms=0.0)], NOON + MINUTE)
    assert lag.known_until(NOON + MINUTE) == NOON + MINUTE


def test_a_clock_that_is_ahead_knows_nothing_of_the_future() -> None:
    lag = RecordLag()
    lag.read([an_outcome(started_at=NOON + MINUTE)], NOON)
    assert lag.known_until(NOON) == NOON
