"""Brings outcomes from the spool to the broker, from a thread of its own, so that no task waits for it."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

from dualrun.contracts import Outcome
from legacy_celery.records_publisher import RecordsPublisher
from legacy_celery.spool import Segment, Spool

__all__ = ["OutcomeSender", "Publisher"]

log = logging.getLogger(__name__)

_ADOPT_EVERY_S = 5.0
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_GATHER_S = 0.02


class Publisher(Protocol):
    """Takes outcomes to where they are durable."""

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        """Return once they are. Raises any error otherwise."""
        ...

    def abandon(self) -> None:
        """In a forked child: let go of what belongs to the parent, saying nothing to the broker."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class OutcomeSender:
    """One a process; its thread starts with the first outcome (or `start`), after any fork."""

    def __init__(self, spool: Spool, publisher: Publisher) -> None:
        self._spool = spool
        self._publisher = publisher
        self._thread: threading.Thread | None = None
        self._reset()
        os.register_at_fork(after_in_child=self._forked)

    @classmethod
    def to_broker(cls, spool: Spool, amqp_url: str) -> OutcomeSender:
        """The usual one: RabbitMQ, with publisher confirms."""
        return cls(spool, RecordsPublisher(amqp_url))

    def __call__(self, outcome: Outcome) -> None:
        """Keep the outcome, then wake the sender. Raises `OSError` when it cannot be written down."""
        self._spool.append(outcome)
        self.start()
        self._wake.set()

    def start(self) -> None:
        """Begin to deliver, the outcomes of dead processes first. Called again, does nothing."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="dualrun-outcomes", daemon=True)
                self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Deliver what there is, for at most so long. True when nothing is left; else it stays on disk, to be adopted."""
        self.start()
        self._stop_at = time.monotonic() + timeout_s
        self._stopping.set()
        self._wake.set()
        assert self._thread is not None
        # The thread may be inside one publish when its time is over.
        self._thread.join(timeout_s + 1.0)
        return self._delivered

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._stop_at = float("inf")
        self._pending: Segment | None = None
        self._delivered = False
        self._adopt_at = 0.0

    def _forked(self) -> None:
        self._thread = None
        if self._pending is not None:
            self._pending.close()
        self._spool.abandon()
        self._publisher.abandon()
        self._reset()

    def _run(self) -> None:
        failures = 0
        while True:
            stopping = self._stopping.is_set()
            if not stopping:
                self._wake.wait(_ADOPT_EVERY_S)
                # A moment for others to finish too: one message then carries them all.
                self._stopping.wait(_GATHER_S)
            self._wake.clear()
            failures = 0 if self._delivers() else failures + 1
            if stopping and (failures == 0 or time.monotonic() >= self._stop_at):
                break
            if failures:
                self._pause(_RETRY_S[min(failures, len(_RETRY_S)) - 1])
        self._delivered = failures == 0
        self._publisher.close()

    def _pause(self, delay_s: float) -> None:
        if self._stopping.is_set():
            time.sleep(min(delay_s, max(0.0, self._stop_at - time.monotonic())))
        else:
            self._stopping.wait(delay_s)
        self._wake.set()

    def _delivers(self) -> bool:
        try:
            for segment in self._segments():
                self._pending = segment
                for outcomes in segment.batches():
                    self._publisher.publish(outcomes)
                segment.delete()
                self._pending = None
        except Exception:  # the broker or the disk is away: outcomes wait in the spool, no task notices
            log.warning("outcomes_wait", exc_info=True)
            return False
        return True

    def _segments(self) -> Iterator[Segment]:
        """One at a time, and a new one only when the last was delivered: while the broker is away the spool is one growing file."""
        if self._pending is not None:
            yield self._pending
        # The dead come before what is new: a child killed after its task ended is heard before its parent reports it as lost.
        if time.monotonic() >= self._adopt_at or self._stopping.is_set():
            yield from self._spool.adopt()
            self._adopt_at = time.monotonic() + _ADOPT_EVERY_S
        sealed = self._spool.seal()
        if sealed is not None:
            yield sealed
