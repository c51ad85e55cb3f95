"""Real `celery beat` processes whose entries are rows that django-celery-beat keeps in a database, and whose ticks go through a gateway."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.support.gateway_parts import EVENTS_QUEUE, LEGACY_QUEUE, TASK
from tests.support.gateway_server import running_gateway
from tests.support.processes import Process
from tests.support.schedule_rows import ScheduleRows, schedule_rows
from tests.support.tcp_proxy import threaded_tcp_proxy

pytestmark = [pytest.mark.e2e, pytest.mark.services]

ARGS = '[42, "ann@example.org"]'
OFTEN = {"every": 300_000, "period": "microseconds"}
RARELY = {"every": 1, "period": "hours"}
CHANGED = "DatabaseScheduler: Schedule changed"
_SUBMITTED = re.compile(r"beat_tick_submitted entry=(.+) key=(\S+) id=(\S+)")
StartBeat = Callable[[str, ScheduleRows, str], Process]


@pytest.fixture
def start_beat(tmp_path: Path) -> Iterator[StartBeat]:
    """Starts a beat in a folder of its own, or of the beat of that name before it, for a gateway at a URL."""
    with ExitStack() as running:

        def start(name: str, rows: ScheduleRows, gateway_url: str) -> Process:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            command = [sys.executable, "-m", "celery", "-A", "shopsite", "beat", "-S", "legacy_celery.beat:GatewayScheduler", "-l", "info"]
            through = {"DUALRUN_GATEWAY_URL": gateway_url, "DUALRUN_BEAT_SCHEDULER": "django_celery_beat.schedulers:DatabaseScheduler"}
            return running.enter_context(Process(name, command, env={**rows.environment, **through}, cwd=folder))

        yield start


@pytest.fixture
def sqlite_rows(tmp_path: Path) -> Iterator[ScheduleRows]:
    with schedule_rows(f"sqlite://{tmp_path / 'schedules.sqlite3'}") as rows:
        yield rows


@pytest.fixture
def postgres_rows(postgres_url: str) -> Iterator[ScheduleRows]:
    with schedule_rows(postgres_url.replace("+asyncpg", "")) as rows:
        yield rows


def submitted(entry: str) -> str:
    return f"beat_tick_submitted entry={entry} "


def ticks_of(*beats: Process) -> list[tuple[str, str, str]]:
    """(entry, key, submission) of every tick a beat says it has submitted."""
    return [tick for beat in beats for tick in _SUBMITTED.findall(beat.output)]


def change_followed(beat: Process, change: Callable[[], None], ticking: str) -> int:
    """Change rows, and wait until they were read anew and an entry that is `ticking` ran after that; where in the output that began."""
    changes = beat.output.count(CHANGED)
    change()
    beat.wait_for_output(CHANGED, count=changes + 1)
    beat.wait_for_output(submitted(ticking), count=beat.output.count(submitted(ticking)) + 1)
    return beat.output.rindex(CHANGED)


def due_six_hours_ago(kind: str, now: datetime) -> dict[str, object]:
    """A crontab, or a noon of the sun, that was not due a moment ago and will not be in a moment."""
    if kind == "crontab":
        return {"minute": str((now.minute + 30) % 60), "hour": "*"}
    hours = now.hour + now.minute / 60
    return {"event": "solar_noon", "latitude": 10, "longitude": round(((18 - hours) * 15 + 180) % 360 - 180, 3)}


def test_entries_of_every_kind_follow_the_flag_and_of_two_beats_each_tick_runs_once(
    start_beat: StartBeat, postgres_rows: ScheduleRows
) -> None:
    rows, now = postgres_rows, datetime.now(UTC)
    for kind in ("crontab", "solar"):
        rows.add(kind, TASK, kind, due_six_hours_ago(kind, now), args=ARGS, last_run_at=now - timedelta(days=2))
    rows.add("clocked", TASK, "clocked", {"clocked_time": now}, args=ARGS, one_off=True)
    rows.add("one-off", TASK, "interval", OFTEN, args=ARGS, one_off=True, expire_seconds=3600)
    rows.add("interval", TASK, "interval", OFTEN, args=ARGS)
    with running_gateway() as gateway:
        beats = [start_beat(name, rows, gateway.url) for name in ("first", "second")]
        for beat in beats:
            beat.wait_for_output(submitted("interval"), count=2)
        beats[0].wait_until(lambda: len({key for _, key, _ in ticks_of(*beats)}) < len(ticks_of(*beats)), "ticks that both beats fired")
        beats[0].wait_until(
            lambda: not any(rows.saved(name).enabled for name in ("clocked", "one-off")), "entries that ran once and are switched off"
        )
        httpx.put(f"{gateway.url}/v1/flags/{TASK}", json={"mode": "events"}).raise_for_status()
        beats[0].wait_until(lambda: gateway.depths().get(EVENTS_QUEUE, 0) >= 2, "ticks on the events side")
        for beat in beats:
            beat.stop()
        runs = gateway.depths()
    ticks = ticks_of(*beats)
    by_key = {key: submission for _, key, submission in ticks}
    assert all(by_key[key] == submission for _, key, submission in ticks), "one tick became two submissions"
    for name in ("crontab", "solar", "clocked", "one-off"):
        assert len({key for entry, key, _ in ticks if entry == name}) == 1
        # While the other beat has it in hand a beat is told to wait, and may give a tick up that ran.
        assert {key for beat in beats for key in re.findall(rf"beat_tick_lost entry={name} key=(\S+):", beat.output)} <= by_key.keys()
    # A beat that was stopped may have been answered without having said so.
    assert len(by_key) <= runs[LEGACY_QUEUE] + runs[EVENTS_QUEUE] <= len(by_key) + 2


def test_rows_that_change_are_followed_and_keep_what_ran(start_beat: StartBeat, sqlite_rows: ScheduleRows) -> None:
    rows = sqlite_rows
    rows.add("steady", TASK, "interval", OFTEN, args=ARGS)
    rows.add("off", TASK, "interval", OFTEN, args=ARGS, enabled=False)
    rows.add("slow", TASK, "interval", RARELY, args=ARGS)
    with running_gateway() as gateway:
        beat = start_beat("beat", rows, gateway.url)
        beat.wait_for_output(submitted("steady"), count=3)
        assert {entry for entry, _, _ in ticks_of(beat)} == {"steady"}
        rows.change("off", enabled=True)
        beat.wait_for_output(submitted("off"))
        rows.change("slow", OFTEN)
        beat.wait_for_output(submitted("slow"), count=2)
        stopped = change_followed(beat, lambda: rows.change("steady", enabled=False), "off")
        beat.wait_for_output(submitted("slow"), count=5)
        before, after = beat.output[:stopped], beat.output[stopped:]
        assert submitted("slow") in after
        assert submitted("steady") not in after
        change_followed(beat, lambda: rows.change("slow", RARELY), "off")
        beat.stop()
    steady, slow = rows.saved("steady"), rows.saved("slow")
    assert (steady.enabled, steady.total_run_count, steady.last_run_at) == (False, before.count(submitted("steady")), None)
    keys = [key for entry, key, _ in ticks_of(beat) if entry == "slow"]
    assert slow.total_run_count == len(keys) == len(set(keys))
    latest = datetime.strptime(keys[-1].rsplit(":", 1)[1], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    assert slow.last_run_at is not None
    assert timedelta(0) <= slow.last_run_at - latest < timedelta(microseconds=300_000)


def test_an_entry_that_runs_once_waits_for_the_gateway_and_for_the_next_beat(start_beat: StartBeat, sqlite_rows: ScheduleRows) -> None:
    rows = sqlite_rows
    rows.add("clocked", TASK, "clocked", {"clocked_time": datetime.now(UTC)}, args=ARGS, one_off=True)
    rows.add("elsewhere", TASK, "interval", OFTEN, args=ARGS, routing_key="slow")
    with running_gateway() as gateway, threaded_tcp_proxy("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])) as proxy:
        proxy.break_down()
        url = f"http://127.0.0.1:{proxy.port}"
        beat = start_beat("beat", rows, url)
        beat.wait_for_output("beat_entry_refused beat entry 'elsewhere': the gateway does not take routing_key")
        beat.wait_for_output("beat_tick_waits entry=clocked")
        beat.wait_until(lambda: rows.saved("clocked").total_run_count == 1, "a run in the database: no beat fires it again")
        beat.kill()
        proxy.restore()
        again = start_beat("beat", rows, url)
        again.wait_for_output(submitted("clocked"))
        # A row is only looked at again once some row has changed.
        rows.change("elsewhere", enabled=False)
        again.wait_until(lambda: not rows.saved("clocked").enabled, "the entry switched off")
        assert gateway.depths()[LEGACY_QUEUE] == 1
