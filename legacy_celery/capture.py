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
from dualrun.contracts import Outcome, Side
from dualrun.flags_redis import FlagsFollower
from dualrun.health import answering
from dualrun.in_force import FlagsInForce
from dualrun.settings import WorkerSettings
from legacy_celery.announcing import announcement_of
from legacy_celery.ending import worker_name
from legacy_celery.handing_over import HandingOver, RecallableRequest, give_back_by
from legacy_celery.jitter import jittered_within_s
from legacy_celery.outcome_sender import OutcomeSender
from legacy_celery.recall_watch import RecallWatch, TakesBackWhatIsScheduled, Window
from legacy_celery.run import Received, Runs
from legacy_celery.spool import Spool
from legacy_celery.worker_health import WorkerHealth

__all__ = ["Sender", "announcement_of", "install"]

log = logging.getLogger(__name__)

Sender: TypeAlias = Callable[[Sequence[Outcome]], None]
"""Takes outcomes, from any worker thread."""

P = ParamSpec("P")
_FLUSH_TIMEOUT_S = 5.0


class _Message(Protocol):
    headers: Mapping[str, object] | None


class _Queue(Protocol):
    name: str


class _TaskConsumer(Protocol):
    queues: Sequence[_Queue]


class _Consumer(Protocol):
    app: Celery
    qos: Window
    task_consumer: _TaskConsumer


class _Worker(Protocol):
    app: Celery


def install(app: Celery | None = None, *, sender: Sender | None = None, handing_over: HandingOver | None = None) -> Callable[[], None]:
    """Capture in this process; gives the function that ends it. Calling it again changes where outcomes go, and nothing twice.

    With `sender` outcomes go to it instead of the spool and the broker; with `app` only that app's tasks are captured; `handing_over`
    takes back what a flag change recalls. Importing this module has installed it already, without any.
    """
    _sink.sender = sender
    RecallableRequest.handing_over = handing_over
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
    RecallableRequest.handing_over = None


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
        self.follower: FlagsFollower | None = None
        self.recall_watch: RecallWatch | None = None
        self.stop_answering: Callable[[], None] | None = None

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
    if isinstance(request, RecallableRequest) and request.handing_over is not None:
        request.handing_over.received(request)


@_quietly
def _task_prerun(task_id: str, task: Task, **_: object) -> None:
    if _scope.covers(task):
        _runs.began(task_id, vars(task.request))


@_quietly
def _before_task_publish(headers: dict[str, object], **_: object) -> None:
    _runs.asks_for_another(headers, jittered_within_s(headers))


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
def _worker_init(sender: _Worker, **_: object) -> None:
    # Celery's own attribute for it; a task that names a request class of its own keeps that, and is not taken back.
    Task.Request = RecallableRequest
    sender.app.steps["consumer"].add(TakesBackWhatIsScheduled)


@_quietly
def _worker_ready(sender: _Consumer, **_: object) -> None:
    _sink.start()
    settings = WorkerSettings.from_env()
    _answer_for_the_worker(settings)
    if settings.redis_url is None or _sink.sender is not None:
        return
    from dualrun.announce_redis import RedisAnnouncer

    in_force = FlagsInForce(Side.LEGACY)
    announcement = announcement_of(sender.app, worker_name(), settings.service)
    handing_over = RecallableRequest.handing_over = HandingOver(in_force, give_back_by(settings.amqp_url))
    _scope.recall_watch = RecallWatch(
        in_force,
        handing_over,
        worker=announcement.worker,
        tasks=[served.task for served in announcement.tasks],
        queues=[queue.name for queue in sender.task_consumer.queues],
        amqp_url=settings.amqp_url,
    )
    _scope.recall_watch.start(lambda: sender.qos)
    copy = settings.state_dir / "celery-flags.json"
    _scope.follower = FlagsFollower(in_force, settings.redis_url, settings.redis_prefix, last_known_good=copy)
    _scope.follower.start()
    _scope.heartbeat = Heartbeat(RedisAnnouncer(settings.redis_url, settings.redis_prefix), announcement)
    _scope.heartbeat.start()


def _answer_for_the_worker(settings: WorkerSettings) -> None:
    if settings.metrics_address is None:
        return
    health = WorkerHealth(settings.service, settings.spool_dir, lambda: RecallableRequest.handing_over)
    try:
        _scope.stop_answering = answering(health, *settings.metrics_address)
    except OSError as exc:
        # Two workers of one machine with one environment: what they do is worth more than what they tell.
        log.warning("metrics_not_served", extra={"port": settings.metrics_address[1], "reason": str(exc)})


@_quietly
def _worker_process_shutdown(**_: object) -> None:
    _sink.stop()


@_quietly
def _worker_shutdown(**_: object) -> None:
    if _scope.follower is not None:
        _scope.follower.stop()
    if _scope.recall_watch is not None:
        _scope.recall_watch.stop()
    if _scope.heartbeat is not None:
        _scope.heartbeat.stop()
    if _scope.stop_answering is not None:
        _scope.stop_answering()
    _sink.stop()


_RECEIVERS: Mapping[str, Callable[..., None]] = {
    "task_received": _task_received,
    "task_prerun": _task_prerun,
    "before_task_publish": _before_task_publish,
    "task_postrun": _task_postrun,
    "task_failure": _task_failure,
    "task_internal_error": _task_internal_error,
    "task_revoked": _task_revoked,
    "task_unknown": _task_unknown,
    "task_rejected": _task_rejected,
    "worker_init": _worker_init,
    "worker_ready": _worker_ready,
    "worker_process_shutdown": _worker_process_shutdown,
    "worker_shutdown": _worker_shutdown,
}

install()
