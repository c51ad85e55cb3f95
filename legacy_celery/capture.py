"""Reports what a Celery worker does with submissions, without a change to its tasks.

Load it into any worker, `celery -A proj worker --include legacy_celery.capture` or `CELERY_WORKER_INCLUDE=legacy_celery.capture`:
importing it connects signal receivers. Messages without the header `dualrun-submission-id` are none of its business.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import ParamSpec, Protocol, TypeAlias

from celery import Celery, Task, signals

import dualrun.effects
from dualrun.announce import Heartbeat
from dualrun.contracts import Outcome
from dualrun.settings import WorkerSettings
from legacy_celery.announcing import announcement_of
from legacy_celery.ending import worker_name
from legacy_celery.outcome_sender import OutcomeSender
from legacy_celery.run import Received, Runs
from legacy_celery.spool import Spool

__all__ = ["Sender", "announcement_of", "install"]

log = logging.getLogger(__name__)

Sender: TypeAlias = Callable[[Sequence[Outcome]], None]
"""Takes outcomes, from any worker thread."""

P = ParamSpec("P")
_FLUSH_TIMEOUT_S = 5.0


class _Message(Protocol):
    headers: Mapping[str, object] | None


class _Consumer(Protocol):
    app: Celery


def install(app: Celery | None = None, *, sender: Sender | None = None) -> Callable[[], None]:
    """Capture in this process; gives the function that ends it. Calling it again changes where outcomes go, and nothing twice.

    With `sender` outcomes go to it instead of the spool and the broker; with `app` only that app's tasks are captured. Importing this
    module has installed it already, without either.
    """
    _sink.sender = sender
    _scope.app = app
    dualrun.effects.install()
    for signal, receiver in _RECEIVERS.items():
        # Celery keeps one receiver of a uid: connecting twice changes nothing.
        getattr(signals, signal).connect(receiver, weak=False, dispatch_uid=_uid(signal))
    return _uninstall


def _uninstall() -> None:
    for signal in _RECEIVERS:
        getattr(signals, signal).disconnect(dispatch_uid=_uid(signal))
    _sink.sender = None
    _scope.app = None


def _uid(signal: str) -> str:
    return f"dualrun.{signal}"


class _Sink:
    """Where outcomes go. Made on first use, so that a process that records nothing reads no settings and opens nothing."""

    def __init__(self) -> None:
        self.sender: Sender | None = None
        self._outcome_sender: OutcomeSender | None = None
        self._lock = threading.Lock()

    def record(self, outcome: Outcome) -> None:
        if self.sender is not None:
            self.sender([outcome])
        else:
            self.outcome_sender()(outcome)
        log.debug("outcome_recorded", extra={"submission_id": outcome.submission_id, "state": outcome.state.value})

    def outcome_sender(self) -> OutcomeSender:
        with self._lock:
            if self._outcome_sender is None:
                settings = WorkerSettings.from_env()
                self._outcome_sender = OutcomeSender.to_broker(Spool(settings.spool_dir), settings.amqp_url)
            return self._outcome_sender

    def start(self) -> None:
        if self.sender is None:
            self.outcome_sender().start()

    def stop(self) -> None:
        if self.sender is None and not self.outcome_sender().stop(_FLUSH_TIMEOUT_S):
            log.warning("outcomes_left_in_spool", extra={"worker": worker_name()})


class _Scope:
    """Whose tasks are captured, and the heartbeat that says so."""

    def __init__(self) -> None:
        self.app: Celery | None = None
        self.heartbeat: Heartbeat | None = None

    def covers(self, task: Task) -> bool:
        return self.app is None or task.app is self.app


_sink = _Sink()
_scope = _Scope()
_runs = Runs(_sink.record)


def _quietly(receiver: Callable[P, None]) -> Callable[P, None]:
    @wraps(receiver)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            receiver(*args, **kwargs)
        except Exception:  # an observer: whatever goes wrong here, the worker goes on
            log.exception("capture_failed", extra={"receiver": receiver.__name__})

    return quiet


@_quietly
def _task_received(request: Received, **_: object) -> None:
    _runs.received(request)


@_quietly
def _task_prerun(task_id: str, task: Task, **_: object) -> None:
    if _scope.covers(task):
        _runs.began(task_id, vars(task.request))


@_quietly
def _task_postrun(task_id: str, retval: object, state: str | None, **_: object) -> None:
    _runs.ended(task_id, state, retval)


@_quietly
def _task_failure(task_id: str, exception: BaseException, einfo: object = None, **_: object) -> None:
    _runs.lost(task_id, exception, getattr(einfo, "traceback", None))


@_quietly
def _task_internal_error(task_id: str, request: Mapping[str, object], exception: BaseException, **_: object) -> None:
    _runs.broke(task_id, request or {}, exception)


@_quietly
def _task_revoked(request: object, expired: bool, **_: object) -> None:
    _runs.revoked(vars(request), expired=bool(expired))


@_quietly
def _task_unknown(message: _Message, name: str, **_: object) -> None:
    _runs.refused(message.headers or {}, "NotRegistered", f"this worker has no task named {name!r}")


@_quietly
def _task_rejected(message: _Message, exc: BaseException | None = None, **_: object) -> None:
    _runs.refused(message.headers or {}, type(exc).__name__ if exc is not None else "UnknownMessage", str(exc or "no Celery message"))


@_quietly
def _worker_ready(sender: _Consumer, **_: object) -> None:
    _sink.start()
    settings = WorkerSettings.from_env()
    if settings.redis_url is None or _sink.sender is not None:
        return
    from dualrun.announce_redis import RedisAnnouncer

    announcement = announcement_of(sender.app, worker_name(), settings.service)
    _scope.heartbeat = Heartbeat(RedisAnnouncer(settings.redis_url, settings.redis_prefix), announcement)
    _scope.heartbeat.start()


@_quietly
def _worker_process_shutdown(**_: object) -> None:
    _sink.stop()


@_quietly
def _worker_shutdown(**_: object) -> None:
    if _scope.heartbeat is not None:
        _scope.heartbeat.stop()
    _sink.stop()


_RECEIVERS: Mapping[str, Callable[..., None]] = {
    "task_received": _task_received,
    "task_prerun": _task_prerun,
    "task_postrun": _task_postrun,
    "task_failure": _task_failure,
    "task_internal_error": _task_internal_error,
    "task_revoked": _task_revoked,
    "task_unknown": _task_unknown,
    "task_rejected": _task_rejected,
    "worker_ready": _worker_ready,
    "worker_process_shutdown": _worker_process_shutdown,
    "worker_shutdown": _worker_shutdown,
}

install()
