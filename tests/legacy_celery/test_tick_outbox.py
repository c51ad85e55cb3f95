"""Ticks are tried until the gateway has them, and never lost in silence."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from legacy_celery.client import GatewayUnavailable, TaskRejected
from legacy_celery.tick import Tick
from legacy_celery.tick_outbox import TickOutbox


class Gateway:
    """Takes ticks, or fails as it is told to; and the clock."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.tried: list[str] = []
        self.failure: Exception | None = None
        self.refuses: dict[str, Exception] = {}
        """By entry."""
        self.now = 100.0

    def post(self, tick: Tick) -> str:
        self.tried.append(tick.key)
        failure = self.failure or self.refuses.get(tick.entry)
        if failure is not None:
            raise failure
        self.taken.append(tick.key)
        return f"id-{tick.key}"


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "schedule.ticks"


def outbox(path: Path, gateway: Gateway) -> TickOutbox:
    return TickOutbox(path, post=gateway.post, clock=lambda: gateway.now)


def tick(entry: str = "nightly", key: str = "k1", kept_until: float | None = 160.0) -> Tick:
    return Tick(entry=entry, key=key, body="{}", kept_until=kept_until)


AWAY = GatewayUnavailable("connection refused")


def test_a_tick_waits_for_the_gateway_and_outlives_the_process(path: Path, gateway: Gateway) -> None:
    gateway.failure = AWAY
    first = outbox(path, gateway)
    first.add(tick())
    assert first.deliver() == 0.5
    again = outbox(path, gateway)
    gateway.failure = None
    assert again.deliver() is None
    assert gateway.taken == ["k1"]
    assert outbox(path, gateway).deliver() is None
    assert gateway.tried == ["k1", "k1"]


def test_a_tick_that_is_about_to_be_sent_is_on_disk_already(path: Path, gateway: Gateway) -> None:
    gateway.failure = KeyboardInterrupt("the process dies here")  # type: ignore[assignment]  # no Exception on purpose
    dying = outbox(path, gateway)
    dying.add(tick())
    with pytest.raises(KeyboardInterrupt):
        dying.deliver()
    gateway.failure = None
    outbox(path, gateway).deliver()
    assert gateway.taken == ["k1"]


def test_while_the_gateway_is_away_it_is_asked_ever_more_rarely_and_not_for_every_tick(path: Path, gateway: Gateway) -> None:
    gateway.failure = AWAY
    waiting = outbox(path, gateway)
    for n in range(3):
        waiting.add(tick(entry=f"e{n}", key=f"k{n}", kept_until=1e9))
    pauses = []
    for _ in range(7):
        pause_s = waiting.deliver()
        assert pause_s is not None
        pauses.append(pause_s)
        assert waiting.deliver() == pause_s
        gateway.now += pause_s
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert len(gateway.tried) == 7
    gateway.failure = None
    assert waiting.deliver() is None
    assert gateway.taken == ["k0", "k1", "k2"]


@pytest.mark.parametrize("refusal", [TaskRejected(404, "unknown_task", "no worker"), GatewayUnavailable("status 503", answered=True)])
def test_a_tick_the_gateway_does_not_take_yet_stands_before_no_other(path: Path, gateway: Gateway, refusal: Exception) -> None:
    gateway.refuses = {"daily": refusal}
    waiting = outbox(path, gateway)
    waiting.add(tick(entry="daily", key="k-daily", kept_until=1e9))
    for minute in range(3):
        waiting.add(tick(entry="minutely", key=f"k{minute}", kept_until=1e9))
        assert waiting.deliver() is not None
    assert gateway.taken == ["k0", "k1", "k2"]
    assert gateway.tried.count("k-daily") == 1, "it waits by itself"
    gateway.now, gateway.refuses = gateway.now + 0.5, {}
    assert waiting.deliver() is None
    assert gateway.taken[-1] == "k-daily"


def test_a_tick_the_next_one_overtakes_is_lost_loudly(path: Path, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.failure = AWAY
    waiting = outbox(path, gateway)
    waiting.add(tick(key="k1"))
    waiting.deliver()
    waiting.add(tick(key="k2", kept_until=220.0))
    gateway.now, gateway.failure = 161.0, None
    waiting.deliver()
    assert gateway.taken == ["k2"]
    assert [record.message.split()[:3] for record in caplog.records if record.levelno == logging.ERROR] == [
        ["beat_tick_lost", "entry=nightly", "key=k1:"]
    ]


def test_a_tick_past_its_time_is_not_sent_late(path: Path, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    gateway.failure = AWAY
    waiting = outbox(path, gateway)
    waiting.add(tick())
    waiting.deliver()
    gateway.now, gateway.failure = 160.0, None
    assert waiting.deliver() is None
    assert gateway.taken == []
    assert "beat_tick_lost" in caplog.text


@pytest.mark.parametrize(
    ("code", "settled", "level"),
    [("unknown_task", False, "WARNING"), ("idempotency_conflict", True, "WARNING"), ("invalid_arguments", True, "ERROR")],
)
def test_what_a_refusal_means(path: Path, gateway: Gateway, caplog: pytest.LogCaptureFixture, code: str, settled: bool, level: str) -> None:
    gateway.failure = TaskRejected(422, code, "no")
    waiting = outbox(path, gateway)
    waiting.add(tick())
    assert (waiting.deliver() is None) is settled
    assert [record.levelname for record in caplog.records] == [level]


def test_a_file_that_cannot_be_read_is_said_and_in_nobodys_way(path: Path, gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    path.write_text("{", encoding="utf-8")
    waiting = outbox(path, gateway)
    waiting.add(tick())
    waiting.deliver()
    assert gateway.taken == ["k1"]
    assert "beat_ticks_unreadable" in caplog.text


def test_a_tick_that_no_other_follows_is_kept_for_as_long_as_the_gateway_is_away(path: Path, gateway: Gateway) -> None:
    gateway.failure = AWAY
    first = outbox(path, gateway)
    first.add(tick(kept_until=None))
    first.deliver()
    gateway.now, gateway.failure = 1e9, None
    outbox(path, gateway).deliver()
    assert gateway.taken == ["k1"]


def test_a_tick_that_beat_comes_to_late_is_tried_once_all_the_same(path: Path, gateway: Gateway) -> None:
    waiting = outbox(path, gateway)
    waiting.add(tick(kept_until=99.0))
    assert waiting.deliver() is None
    gateway.failure = AWAY
    waiting.add(tick(key="k2", kept_until=99.0))
    waiting.deliver()
    gateway.now, gateway.failure = 101.0, None
    assert waiting.deliver() is None
    assert gateway.taken == ["k1"]
