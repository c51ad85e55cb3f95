"""One run of a task, and the effects it caused."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from dualrun.contracts import Effect, JsonValue, Role, Side

__all__ = ["EFFECTS_MAX", "PAYLOAD_MAX_BYTES", "Execution", "Note", "current_execution", "effect", "execution", "outside"]

log = logging.getLogger(__name__)

EFFECTS_MAX = 1_000
PAYLOAD_MAX_BYTES = 64 * 1024


class Note:
    """An effect as it is being caused: its place in the order is taken before the outside has answered."""

    __slots__ = ("effect", "pending")

    def __init__(self, effect: Effect) -> None:
        self.effect = effect
        self.pending = False
        """True while a transaction that may still be rolled back holds it: not an effect yet."""

    def failed(self, kind: str) -> None:
        """The outside answered with an error of that kind."""
        self.effect = msgspec.structs.replace(self.effect, error=kind)


class Execution:
    """One run of a task. Safe to note effects in from several threads at once."""

    __slots__ = ("_at_end", "_dropped", "_lock", "_notes", "ended", "role", "side", "submission_id", "task")

    def __init__(self, *, role: Role, side: Side, submission_id: str, task: str) -> None:
        self.role = role
        self.side = side
        self.submission_id = submission_id
        self.task = task
        self._notes: list[Note] = []
        self.ended = False
        """True once the run is over. A thread it started may go on, and stays a shadow's if it was one."""
        self._at_end: list[Callable[[], None]] = []
        self._dropped = 0
        self._lock = threading.Lock()

    @property
    def shadow(self) -> bool:
        """True when the outside must stay untouched."""
        return self.role is Role.SHADOW

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects so far, in the order they were caused."""
        with self._lock:
            return tuple(note.effect for note in self._notes if not note.pending)

    @property
    def effects_dropped(self) -> int:
        """Effects beyond `EFFECTS_MAX`: counted, not kept."""
        return self._dropped

    def at_end(self, then: Callable[[], None]) -> None:
        """Call `then` when the run is over, whatever became of it."""
        self._at_end.append(then)

    def end(self) -> None:
        """The run is over: what a shadow still holds open is undone."""
        self.ended = True
        while self._at_end:
            then = self._at_end.pop()
            try:
                then()
            except Exception:
                log.warning("execution_end_failed", exc_info=True, extra={"submission_id": self.submission_id})

    def note(self, kind: str, key: str, payload: object = None, *, performed: bool) -> Note:
        """Take the next place in the order. The payload is copied now: changing it later changes nothing here."""
        note = Note(Effect(kind=kind, key=key, payload=bounded(payload), performed=performed))
        with self._lock:
            if len(self._notes) < EFFECTS_MAX:
                self._notes.append(note)
            else:
                self._dropped += 1
        return note


_current: ContextVar[Execution | None] = ContextVar("dualrun_execution", default=None)


@contextmanager
def execution(*, role: Role, side: Side, submission_id: str, task: str) -> Iterator[Execution]:
    """Everything called inside belongs to this run: across awaits, tasks, and threads that are given a copy of the context."""
    run = Execution(role=role, side=side, submission_id=submission_id, task=task)
    token = _current.set(run)
    try:
        yield run
    finally:
        run.end()
        _current.reset(token)


@contextmanager
def outside() -> Iterator[None]:
    """What is called inside belongs to no run: work of the worker's own, such as keeping a result, in the midst of one."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def current_execution() -> Execution | None:
    """The run this code belongs to; None outside of any."""
    return _current.get()


def effect(kind: str, key: str, payload: object = None) -> bool:
    """Note an effect about to be caused. True when the caller shall go on and cause it, False in a shadow.

    Outside an execution nothing is noted and the answer is True. `payload` is anything msgspec can turn into JSON; of other objects
    the `repr` is kept.
    """
    run = _current.get()
    if run is None:
        return True
    run.note(kind, key, payload, performed=not run.shadow)
    return not run.shadow


def bounded(payload: object) -> JsonValue:
    """The payload as plain JSON; beyond `PAYLOAD_MAX_BYTES` its size and hash stand for it, so that equal payloads stay equal."""
    plain: JsonValue = msgspec.to_builtins(payload, str_keys=True, enc_hook=_by_repr)
    encoded = msgspec.json.encode(plain, order="deterministic")
    if len(encoded) <= PAYLOAD_MAX_BYTES:
        return plain
    return {"truncated": True, "bytes": len(encoded), "sha256": hashlib.sha256(encoded).hexdigest()}


def _by_repr(value: object) -> str:
    return repr(value)[:1_000]
