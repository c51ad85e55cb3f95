"""What a Celery worker with capture answers when it is asked: is it alive, and do its outcomes reach the broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dualrun.exposition import Family, Sample, exposition
from legacy_celery.handing_over import HandingOver
from legacy_celery.spool import waiting_segments

__all__ = ["WorkerHealth"]


class WorkerHealth:
    """Implements `Health` for the worker's main process. The spool is that of every process of the worker: they share its folder."""

    def __init__(
        self, service: str, spool_dir: Path, handing_over: Callable[[], HandingOver | None], now_s: Callable[[], float] = time.time
    ) -> None:
        self._at = {"service": service}
        self._spool_dir = spool_dir
        self._handing_over = handing_over
        self._now_s = now_s

    def fault(self) -> str | None:
        return None

    def not_ready(self) -> str | None:
        return None

    def metrics(self) -> bytes:
        segments = waiting_segments(self._spool_dir)
        oldest_s = max((self._now_s() - begun_s for _, begun_s in segments), default=0.0)
        handed = self._handing_over()
        received, given_back, kept = (
            (0, 0, 0) if handed is None else (handed.received_count, sum(handed.given_back.values()), sum(handed.kept.values()))
        )
        return exposition(
            [
                self._one("dualrun_spool_segments", "gauge", "Files of outcomes that the broker does not have yet", len(segments)),
                self._one("dualrun_spool_bytes", "gauge", "How large they are together", sum(size for size, _ in segments)),
                self._one("dualrun_spool_oldest_seconds", "gauge", "For how long the oldest of them has waited", max(0.0, oldest_s)),
                self._one("dualrun_capture_received_total", "counter", "Messages this worker has taken", received),
                self._one(
                    "dualrun_capture_given_back_total", "counter", "Messages given back because a flag change recalled them", given_back
                ),
                self._one("dualrun_capture_kept_total", "counter", "Recalled messages that could not be given back, and were run", kept),
            ]
        )

    def _one(self, name: str, kind: str, text: str, value: float) -> Family:
        return Family(name, kind, text, [Sample(value, self._at)])
