"""When a tick was due, and what it asks for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.beat import BeatLazyFunc, ScheduleEntry
from celery.schedules import BaseSchedule, crontab, schedule, solar
from django_celery_beat.clockedschedule import clocked
from django_celery_beat.tzcrontab import TzAwareCrontab
from hypothesis import given, settings
from hypothesis import strategies as st

from legacy_celery.tick import OptionNotCarried, tick_of
from legacy_celery.tick_time import following_time, tick_time

APP = Celery("shop", set_as_current=False)
APP.conf.timezone = "Europe/Berlin"
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def entry(planned: object, **members: object) -> ScheduleEntry:
    return ScheduleEntry(**{"name": "nightly", "task": "reports.daily", "schedule": planned, "app": APP, **members})


def every(**interval: float) -> schedule:
    return schedule(timedelta(**interval), app=APP)


def at(**fields: object) -> crontab:
    return crontab(**fields, app=APP)


CRONTABS = (
    at(),
    at(minute="*/5"),
    at(minute=0),
    at(minute=30, hour=2),
    at(minute=0, hour=3, day_of_week=1),
    at(minute=0, hour=0, day_of_month=29, month_of_year=2),
    TzAwareCrontab(minute="*/20", hour="9-17", tz=ZoneInfo("Asia/Kolkata"), app=APP),
)


@settings(max_examples=200, deadline=None)
@given(
    period_s=st.integers(1, 86_400) | st.floats(0.1, 100.0),
    waits=st.lists(st.floats(0, 3.0), min_size=1, max_size=10),
    offset_s=st.floats(0, 1e6),
)
def test_no_two_ticks_of_one_beat_have_one_time_however_late_it_is(period_s: float, waits: list[float], offset_s: float) -> None:
    planned, ran_at, times = every(seconds=period_s), NOON + timedelta(seconds=offset_s), []
    for late in waits:
        times.append(tick_time(planned, ran_at))
        ran_at += planned.run_every + timedelta(seconds=late)
    assert len(set(times)) == len(times)


@settings(max_examples=60, deadline=None)
@given(
    planned=st.sampled_from(CRONTABS),
    ran_at=st.integers(0, 4 * 366 * 86_400).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    late=st.floats(0, 59),
)
def test_every_beat_names_a_crontabs_tick_by_its_latest_minute(planned: crontab, ran_at: datetime, late: float) -> None:
    found = tick_time(planned, ran_at)
    assert found <= ran_at
    assert (found.second, found.microsecond) == (0, 0)
    assert tick_time(planned, found) == found
    if tick_time(planned, ran_at + timedelta(seconds=late)) != found:
        assert ran_at.minute != (ran_at + timedelta(seconds=late)).minute


@pytest.mark.parametrize(
    ("planned", "ran_at", "due"),
    [
        (at(minute=0, hour=0), datetime(2026, 11, 21, 9, 13, tzinfo=UTC), datetime(2026, 11, 20, 23, 0, tzinfo=UTC)),
        (
            TzAwareCrontab(minute="0", hour="0", tz=ZoneInfo("Asia/Kolkata"), app=APP),
            datetime(2026, 11, 21, 9, 13, tzinfo=UTC),
            datetime(2026, 11, 20, 18, 30, tzinfo=UTC),
        ),
        (at(minute="*/15"), datetime(2026, 11, 21, 9, 13, 7, tzinfo=UTC), datetime(2026, 11, 21, 9, 0, tzinfo=UTC)),
        (at(minute="*/15"), datetime(2026, 10, 25, 1, 10, 1, tzinfo=UTC), datetime(2026, 10, 25, 0, 45, tzinfo=UTC)),
        (at(minute="*/15"), datetime(2026, 10, 25, 2, 10, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, tzinfo=UTC)),
        (every(minutes=10), datetime(2026, 11, 21, 9, 13, 7, tzinfo=UTC), datetime(2026, 11, 21, 9, 10, tzinfo=UTC)),
        (every(seconds=0), NOON, NOON),
        (schedule(timedelta(days=1), relative=True, app=APP), NOON + timedelta(seconds=7), NOON),
        (BaseSchedule(app=APP), NOON + timedelta(seconds=7), NOON + timedelta(seconds=7)),
    ],
)
def test_a_tick_has_the_time_it_was_due(planned: object, ran_at: datetime, due: datetime) -> None:
    assert tick_time(planned, ran_at) == due


def test_a_tick_asks_for_what_the_entry_says_and_every_beat_asks_for_the_same() -> None:
    asked = entry(
        at(minute=0),
        args=(1, BeatLazyFunc(lambda: 2)),
        kwargs={"days": 7},
        options={"queue": "slow", "priority": 3, "expires": 600, "countdown": 30, "exchange": None, "headers": {"periodic_task_name": "x"}},
    )
    first, second = (tick_of(asked, NOON + timedelta(seconds=late), app_name="shop") for late in (0.2, 55))
    assert json.loads(first.body) == {
        "task": "reports.daily",
        "args": [1, 2],
        "kwargs": {"days": 7},
        "queue": "slow",
        "priority": 3,
        "expires": "2026-11-21T12:10:00+00:00",
        "eta": "2026-11-21T12:00:30+00:00",
    }
    assert (first.key, first.body) == (second.key, second.body)
    assert first.kept_until == pytest.approx((NOON + timedelta(hours=1)).timestamp(), abs=1)


@pytest.mark.parametrize("event", ["sunrise", "solar_noon", "sunset", "dusk_astronomical"])
@pytest.mark.parametrize("latitude", [0.0, 52.5, 69.6])
def test_beats_that_find_the_sun_there_at_other_moments_name_one_tick_and_the_next_event_is_another(event: str, latitude: float) -> None:
    planned = solar(event, latitude, 13.4, app=APP)
    happens = [following_time(planned, NOON + timedelta(days=day)) for day in range(120, 123)]
    names = [{tick_time(planned, at + timedelta(seconds=late)) for late in (-0.05, 0, 0.3, 7, 3600, 80_000)} for at in happens]
    assert [len(name) for name in names] == [1, 1, 1]
    assert all(abs(min(name) - at) < timedelta(seconds=2) for name, at in zip(names, happens, strict=True))


def test_a_tick_of_the_sun_is_kept_until_its_next_event_even_where_it_was_found_a_moment_early() -> None:
    planned = solar("sunset", 52.5, 13.4, app=APP)
    at = following_time(planned, NOON)
    kept_until = tick_of(entry(planned), at - timedelta(seconds=0.05), app_name="shop").kept_until
    assert kept_until == pytest.approx((at + timedelta(days=1)).timestamp(), abs=300)


@pytest.mark.parametrize("planned", [every(seconds=10), at(minute="*/5"), clocked(NOON, app=APP), solar("sunset", 52.5, 13.4, app=APP)])
def test_a_one_off_entry_has_one_tick_whenever_it_is_found_due_and_another_once_it_is_saved_again(planned: object) -> None:
    def found(saved_at: datetime, late: timedelta) -> tuple[str, float | None]:
        once = entry(planned, last_run_at=saved_at)
        once.model = SimpleNamespace(one_off=True)
        tick = tick_of(once, NOON + late, app_name="shop")
        return tick.key, tick.kept_until

    first, second, again = found(NOON, timedelta(0)), found(NOON, timedelta(hours=7)), found(NOON + timedelta(hours=8), timedelta(days=1))
    assert first == second != again
    assert first[1] is None


def test_seconds_to_live_count_from_when_an_interval_was_found_due_not_from_its_beginning() -> None:
    tick = tick_of(entry(every(days=1), options={"expires": 60}), NOON, app_name="shop")
    assert json.loads(tick.body)["expires"] == "2026-11-21T12:01:00+00:00"


def test_entries_are_told_apart_whatever_they_are_called() -> None:
    names = ["a" * 120, "a" * 121, "nächtlich: alles", "x y"]
    keys = {tick_of(entry(at(), name=name), NOON, app_name=app).key for name in names for app in ("shop", "other")}
    assert len(keys) == 8
    assert all(len(key) <= 255 and key.isascii() and key.isprintable() and " " not in key for key in keys)


def test_an_option_that_would_be_lost_is_refused_by_name() -> None:
    with pytest.raises(OptionNotCarried, match="routing_key") as caught:
        tick_of(entry(at(), options={"routing_key": "slow"}), NOON, app_name="shop")
    assert "queue" in str(caught.value)
