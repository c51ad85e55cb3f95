"""Moments as records hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.moment import as_utc, hour_of, later

ZONES = st.one_of(st.none(), st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-1_439, 1_439)))
MOMENTS = st.datetimes(timezones=ZONES)


@given(MOMENTS)
def test_any_moment_can_be_said_in_utc(moment: datetime) -> None:
    assert as_utc(moment).tzinfo is UTC
    assert as_utc(as_utc(moment)) == as_utc(moment)


def test_a_zone_is_honoured_and_its_absence_means_utc() -> None:
    assert as_utc(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))) == datetime(2026, 1, 1, 10, tzinfo=UTC)
    assert as_utc(datetime(2026, 1, 1, 12)) == datetime(2026, 1, 1, 12, tzinfo=UTC)  # noqa: DTZ001


@given(MOMENTS, st.floats(0, 1e9))
def test_later_is_never_before_and_never_off_the_calendar(moment: datetime, seconds: float) -> None:
    assert later(moment, seconds) >= as_utc(moment)


@pytest.mark.parametrize("minute", [0, 30, 59])
def test_an_hour_begins_on_the_hour(minute: int) -> None:
    assert hour_of(datetime(2026, 1, 1, 12, minute, 7, tzinfo=UTC)) == datetime(2026, 1, 1, 12, tzinfo=UTC)
