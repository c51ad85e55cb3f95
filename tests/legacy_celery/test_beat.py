"""Real `celery beat` processes whose ticks go through a gateway."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from tests.support.gateway_parts import EVENTS_QUEUE, LEGACY_QUEUE, TASK
from tests.support.gateway_server import GatewayServer, running_gateway
from tests.support.processes import REPOSITORY, Process
from tests.support.tcp_proxy import threaded_tcp_proxy

pytestmark = [pytest.mark.e2e, pytest.mark.services]

PROJECT = f"""
from celery import Celery

app = Celery("periodic", broker="{{broker}}")
app.conf.beat_schedule = {{{{
    "confirm often": {{{{"task": "{TASK}", "schedule": 0.5, "args": (42, "ann@example.org"), "options": {{options}}}}}},
}}}}
"""
_SUBMITTED = re.compile(r"beat_tick_submitted entry=confirm often key=(\S+) id=(\S+)")
StartBeat = Callable[..., Process]


@pytest.fixture
def start_beat(tmp_path: Path, amqp_url: str) -> Iterator[StartBeat]:
    """Starts a beat with a schedule file of its own (or of the beat of that name before it), for a gateway at a URL."""
    with ExitStack() as running:

        def start(name: str, gateway_url: str, options: str = "{}") -> Process:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "periodic.py").write_text(PROJECT.format(broker=amqp_url, options=options), encoding="utf-8")
            command = [sys.executable, "-m", "celery", "-A", "periodic", "beat", "-S", "legacy_celery.beat:GatewayScheduler"]
            environment = {"DUALRUN_GATEWAY_URL": gateway_url, "PYTHONPATH": str(REPOSITORY)}
            return running.enter_context(Process(name, [*command, "-l", "info"], env=environment, cwd=folder))

        yield start


def submitted(*beats: Process) -> list[tuple[str, str]]:
    """(key, submission) of every tick a beat says it has submitted."""
    return [(key, submission) for beat in beats for key, submission in _SUBMITTED.findall(beat.output)]


def set_mode(gateway: GatewayServer, mode: str) -> None:
    httpx.put(f"{gateway.url}/v1/flags/{TASK}", json={"mode": mode}).raise_for_status()


def test_ticks_follow_the_flag_and_of_several_beats_each_tick_runs_once(start_beat: StartBeat) -> None:
    with running_gateway() as gateway:
        first, second = start_beat("first", gateway.url), start_beat("second", gateway.url)
        for beat in (first, second):
            beat.wait_for_output(_SUBMITTED.pattern, count=3)
        set_mode(gateway, "events")
        first.wait_until(lambda: gateway.depths().get(EVENTS_QUEUE, 0) >= 2, "ticks on the events side")
        for beat in (first, second):
            beat.stop()
        ticks = submitted(first, second)
        runs = gateway.depths()
    by_key = dict(ticks)
    assert all(by_key[key] == submission for key, submission in ticks), "one tick became two submissions"
    assert len(by_key) < len(ticks), "the two beats never fired the same tick: the test has not tested anything"
    # A beat that was stopped may have been answered without having said so.
    assert len(by_key) <= runs[LEGACY_QUEUE] + runs[EVENTS_QUEUE] <= len(by_key) + 2


def test_a_tick_waits_for_a_gateway_that_is_away_and_beat_goes_on(start_beat: StartBeat) -> None:
    with running_gateway() as gateway, threaded_tcp_proxy("127.0.0.1", int(gateway.url.rsplit(":", 1)[1])) as proxy:
        proxy.break_down()
        beat = start_beat("patient", f"http://127.0.0.1:{proxy.port}")
        beat.wait_for_output(r"beat_tick_waits entry=confirm often .*refused")
        beat.wait_for_output("beat_tick_lost entry=confirm often")
        assert gateway.depths() == {}
        proxy.restore()
        beat.wait_for_output(_SUBMITTED.pattern, count=2)
        # Once the gateway is back every tick has its submission.
        assert gateway.depths()[LEGACY_QUEUE] >= 2


def test_an_entry_that_cannot_be_carried_stops_beat_at_once_and_says_why(start_beat: StartBeat) -> None:
    beat = start_beat("refused", "http://127.0.0.1:9", options="{'routing_key': 'slow'}")
    beat.wait_for_output("beat entry 'confirm often': the gateway does not take routing_key; it takes .*queue")
    assert beat.wait() != 0
