"""When a schedule ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dualrun.errors import ConfigurationError
from event_handlers.schedule import Schedule

moments = st.integers(1_577_836_800, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))
crons = st.sampled_from(["* * * * *", "*/5 * * * *", "0 3 * * *", "15 6 * * 1", "0 0 1 * *", "30 2 29 2 *"])


@given(moments, crons)
@settings(deadline=None)
def test_the_tick_that_is_due_has_come_and_the_next_one_has_not(moment: datetime, cron: str) -> None:
    schedule = Schedule(cron, "t", catch_up_s=1e10)
    due = schedule.due(moment)
    assert due is not None
    assert due <= moment < schedule.next_after(moment)
    assert schedule.next_after(due - timedelta(seconds=1)) == due
    assert schedule.due(due) == due


def test_a_tick_nobody_was_there_for_is_made_up_for_within_its_time_only() -> None:
    schedule = Schedule("0 3 * * *", "t", catch_up_s=600)
    assert schedule.due(datetime(2026, 1, 1, 3, 10, tzinfo=UTC)) == datetime(2026, 1, 1, 3, tzinfo=UTC)
    assert schedule.due(datetime(2026, 1, 1, 3, 10, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(("day", "ticks"), [("2026-03-29", 1), ("2026-10-25", 1)])
def test_a_daily_tick_comes_once_on_the_days_clocks_change(day: str, ticks: int) -> None:
    schedule = Schedule("30 2 * * *", "t", timezone="Europe/Berlin")
    start = datetime.fromisoformat(f"{day}T00:00:00+00:00") - timedelta(hours=2)
    found, moment = [], start
    while (moment := schedule.next_after(moment)) < start + timedelta(hours=25):
        found.append(moment)
    assert len(found) == ticks


@given(moments)
@settings(deadline=None)
def test_every_scheduler_gives_a_tick_the_same_id_and_no_two_ticks_share_one(moment: datetime) -> None:
    schedule = Schedule("* * * * *", "t")
    tick = schedule.next_after(moment)
    assert schedule.event_id("shop", tick) == Schedule("* * * * *", "t").event_id("shop", tick.astimezone(UTC))
    assert schedule.event_id("shop", tick) != schedule.event_id("shop", schedule.next_after(tick))
    assert schedule.event_id("shop", tick) != schedule.event_id("other", tick)


@pytest.mark.parametrize(
    ("cron", "timezone", "complaint"),
    [("every day", "UTC", "never ticks"), ("0 0 31 2 *", "UTC", "never ticks"), ("* * * * *", "Europe/Nowhere", "Europe/Nowhere")],
)
def test_what_cannot_be_meant_is_refused_by_name(cron: str, timezone: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        Schedule(cron, "report.daily", timezone=timezone)
