"""Ticks on their way to the gateway: kept in a file until it has them, so that neither its absence nor a crash loses one in silence."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from legacy_celery.client import GatewayUnavailable, TaskRejected, post_task
from legacy_celery.tick import Tick

__all__ = ["TickOutbox"]

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_FIRED_ELSEWHERE = "idempotency_conflict"
# No worker has announced the task yet; or the gateway does not take this beat's access token, which somebody will put right.
_NOT_YET = frozenset({"unknown_task", "unauthenticated", "permission_missing", "task_out_of_reach"})


_EVERYBODY = ""


@dataclass(frozen=True, slots=True)
class _Wait:
    until: float = 0.0
    """As the clock tells the time."""
    pause_s: float = _FIRST_PAUSE_S
    """The next one."""


_NO_WAIT = _Wait()


def _post(tick: Tick) -> str:
    return post_task(tick.body.encode(), idempotency_key=tick.key, attempts=1)


class TickOutbox:
    """At most one tick an entry: the next one takes the place of one that could not be delivered in its time, which is logged.

    One that the gateway does not take yet waits by itself; while the gateway is away, all wait. For one thread.
    """

    def __init__(self, path: Path, *, post: Callable[[Tick], str] = _post, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._post = post
        self._clock = clock
        self._ticks: dict[str, Tick] = {}
        self._waits = {_EVERYBODY: _Wait()}
        """Of entries the gateway does not take yet, and of all while it is away."""
        self._new: Tick | None = None
        self._loaded = False

    def __len__(self) -> int:
        return len(self._ticks)

    def add(self, tick: Tick) -> None:
        """Keep a tick, on disk too; nothing is sent yet."""
        self._load()
        late = self._ticks.pop(tick.entry, None)
        if late is not None:
            _lost(late, "its next tick is due and the gateway still does not have it")
        self._ticks[tick.entry] = tick
        self._new = tick
        self._store()

    def deliver(self) -> float | None:
        """Give the gateway what waits, unless it failed a moment ago; the seconds until another try is due, None where nothing waits."""
        self._load()
        # It is tried once even where its entry's next tick is due by now: beat may be late, or the interval very short.
        new, self._new = self._new, None
        for tick in list(self._ticks.values()):
            if self._clock() < self._waits[_EVERYBODY].until:
                break
            if tick is not new and tick.kept_until is not None and tick.kept_until <= self._clock():
                _lost(tick, "the gateway did not take it in its time")
            elif self._clock() < self._wait_of(tick).until or not self._delivered(tick):
                continue
            del self._ticks[tick.entry]
            self._waits.pop(tick.entry, None)
            self._store()
        if not self._ticks:
            return None
        due = max(self._waits[_EVERYBODY].until, min(self._wait_of(tick).until for tick in self._ticks.values()))
        return max(0.0, due - self._clock())

    def _wait_of(self, tick: Tick) -> _Wait:
        return self._waits.get(tick.entry, _NO_WAIT)

    def _delivered(self, tick: Tick) -> bool:
        """Whether it is settled: accepted, fired by another beat, or refused for good."""
        try:
            submission_id = self._post(tick)
        except GatewayUnavailable as exc:
            log.warning("beat_tick_waits entry=%s key=%s: %s", tick.entry, tick.key, exc)
            self._let_wait(tick.entry if exc.answered else _EVERYBODY)
            return False
        except TaskRejected as exc:
            if exc.code in _NOT_YET:
                log.warning("beat_tick_waits entry=%s key=%s: %s", tick.entry, tick.key, exc)
                self._let_wait(tick.entry)
                return False
            if exc.code == _FIRED_ELSEWHERE:
                log.warning("beat_tick_fired_elsewhere entry=%s key=%s: another beat fired it with another body", tick.entry, tick.key)
            else:
                log.error("beat_tick_refused entry=%s key=%s: %s", tick.entry, tick.key, exc)
        else:
            log.info("beat_tick_submitted entry=%s key=%s id=%s", tick.entry, tick.key, submission_id)
        self._waits[_EVERYBODY] = _Wait()
        return True

    def _let_wait(self, whom: str) -> None:
        pause_s = self._waits.get(whom, _NO_WAIT).pause_s
        self._waits[whom] = _Wait(until=self._clock() + pause_s, pause_s=min(2 * pause_s, _LONGEST_PAUSE_S))

    def _load(self) -> None:
        if self._loaded:
            return
        self._loaded = True
        try:
            self._ticks = {tick["entry"]: Tick(**tick) for tick in json.loads(self._path.read_text(encoding="utf-8"))}
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError) as exc:
            log.error("beat_ticks_unreadable path=%s: %s", self._path, exc)

    def _store(self) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            fresh.write_text(json.dumps([asdict(tick) for tick in self._ticks.values()]), encoding="utf-8")
            fresh.replace(self._path)
        except OSError as exc:
            # A full disk must not keep a tick from being sent.
            log.error("beat_ticks_unwritable path=%s: %s", self._path, exc)


def _lost(tick: Tick, why: str) -> None:
    log.error("beat_tick_lost entry=%s key=%s: %s", tick.entry, tick.key, why)
