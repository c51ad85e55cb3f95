"""One run of a task, and the effects it caused."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token, copy_context
from itertools import islice
from types import TracebackType
from typing import NamedTuple, ParamSpec, TypeVar

import msgspec

from dualrun.contracts import Effect, GeneratedKey, JsonValue, Role, Safety, Side
from dualrun.effects.answers import Recorder, Replay
from dualrun.effects.note import Note, lane_here, sequenced

__all__ = [
    "CONNECTIONS_MAX",
    "EFFECTS_MAX",
    "GENERATED_MAX",
    "PAYLOAD_MAX_BYTES",
    "Execution",
    "Note",
    "belonging",
    "bounded",
    "current_execution",
    "effect",
    "execution",
    "outside",
]

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

EFFECTS_MAX = 1_000
CONNECTIONS_MAX = 20
GENERATED_MAX = 200
"""Keys the database gave that an outcome tells."""
PAYLOAD_MAX_BYTES = 64 * 1024


class Execution:
    """One run of a task, while it is entered as a context manager. Safe to note effects in from several threads at once."""

    __slots__ = (
        "_at_end",
        "_awaited_at_end",
        "_connections",
        "_dropped",
        "_lock",
        "_notes",
        "_token",
        "_unanswered",
        "canvas",
        "ended",
        "generated",
        "recorder",
        "replay",
        "role",
        "safety",
        "side",
        "submission_id",
        "task",
    )

    def __init__(
        self, *, role: Role, side: Side, submission_id: str, task: str, recorded: bool = False, safety: Safety | None = None
    ) -> None:
        self.role = role
        self.side = side
        self.submission_id = submission_id
        self.task = task
        self.safety = safety
        """Of a shadow: the class that says what becomes of calls the authority never made; None where nobody said."""
        self.canvas: set[str] = set()
        """What of Celery's canvas the children of this run belong to."""
        self.generated: dict[tuple[str, str], str] = {}
        """Keys the database gave to rows of this run, by table and value, and the name each goes by: `orders#1`, the same on both sides."""
        self.recorder = Recorder() if recorded else None
        """Of an authority that has a shadow: keeps what the outside answers."""
        self.replay: Replay | None = None
        """Of a shadow: what the authority was answered, where that is known."""
        self._notes: list[Note] = []
        self.ended = False
        """True once the run is over. A thread it started may go on, and stays a shadow's if it was one."""
        self._at_end: list[Callable[[], None]] = []
        self._awaited_at_end: list[_Awaited] = []
        self._connections: set[str] = set()
        self._dropped = 0
        self._unanswered = 0
        self._lock = threading.Lock()
        self._token: Token[Execution | None] | None = None

    def __enter__(self) -> Execution:
        self._token = _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.end()
        if self._token is not None:
            _current.reset(self._token)

    @property
    def shadow(self) -> bool:
        """True when the outside must stay untouched."""
        return self.role is Role.SHADOW

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects so far, in the order they were caused."""
        if not self._notes:
            return ()
        with self._lock:
            notes = [note for note in self._notes if not note.pending]
        return sequenced(notes)

    @property
    def effects_dropped(self) -> int:
        """Effects beyond `EFFECTS_MAX`: counted, not kept."""
        return self._dropped

    @property
    def generated_keys(self) -> tuple[GeneratedKey, ...]:
        """The numbers among the keys of its new rows, the first `GENERATED_MAX`. UUIDs need no name: both sides recognise them."""
        if not self.generated:
            return ()
        numbers = ((name, value) for (_, value), name in list(self.generated.items()) if value.isascii() and value.isdigit())
        return tuple(GeneratedKey(name=name, value=value) for name, value in islice(numbers, GENERATED_MAX))

    @property
    def answers_dropped(self) -> int:
        """Answers of the outside that could not be kept for the shadow."""
        return 0 if self.recorder is None else self.recorder.dropped

    @property
    def calls_unknown(self) -> int:
        """Calls of a shadow the authority was not answered; 0 where nothing is known of what that was answered."""
        return 0 if self.replay is None else self.replay.unknown

    @property
    def calls_unanswered(self) -> int:
        """Calls of a shadow that were neither made nor given the authority's answer, since none of its answers were known.

        Statements that waited in vain for a lock, which its authority may have held, count too.
        """
        return self._unanswered

    def answered_by_nothing(self) -> None:
        """A call of a shadow is not made, and nothing is known of what its authority was answered; or it may be in the authority's way."""
        with self._lock:
            self._unanswered += 1

    @property
    def connections_uncaptured(self) -> tuple[str, ...]:
        """Of an authority: where it connected or sent past every capture, `host:port` or a path, sorted; `CONNECTIONS_MAX` at most."""
        with self._lock:
            return tuple(sorted(self._connections))

    def connected(self, place: str) -> None:
        """It connects or sends to that place, and no capture knows what it does there."""
        if place in self._connections or self.ended:
            return
        with self._lock:
            if len(self._connections) < CONNECTIONS_MAX:
                self._connections.add(place)

    def at_end(self, then: Callable[[], None]) -> None:
        """Call `then` when the run is over, whatever became of it."""
        self._at_end.append(then)

    def at_end_await(self, then: Callable[[], Awaitable[None]]) -> None:
        """Await `then` in the loop that runs now, when the run is over: a connection of asyncio's is undone in its own loop."""
        self._awaited_at_end.append(_Awaited(asyncio.get_running_loop(), then))

    async def finish(self) -> None:
        """The run is over, and this is its loop: what it held open is undone before anything else happens. `end` follows all the same."""
        self.ended = True
        if not self._awaited_at_end:
            return
        loop = asyncio.get_running_loop()
        for awaited in [awaited for awaited in self._awaited_at_end if awaited.loop is loop]:
            self._awaited_at_end.remove(awaited)
            try:
                await awaited.then()
            except Exception:
                log.warning("execution_end_failed", exc_info=True, extra={"submission_id": self.submission_id})

    def end(self) -> None:
        """The run is over: what a shadow still holds open is undone; what only can be awaited, in its own loop as soon as that may be."""
        self.ended = True
        while self._at_end:
            then = self._at_end.pop()
            try:
                then()
            except Exception:
                log.warning("execution_end_failed", exc_info=True, extra={"submission_id": self.submission_id})
        while self._awaited_at_end:
            awaited = self._awaited_at_end.pop()
            if awaited.loop.is_running():
                asyncio.run_coroutine_threadsafe(_awaiting(awaited.then), awaited.loop)

    def note(self, kind: str, key: str, payload: object = None, *, performed: bool) -> Note:
        """Take the next place in the order. The payload is copied now: changing it later changes nothing here."""
        note = Note(Effect(kind=kind, key=key, payload=bounded(payload), performed=performed), self.recorder, lane_here())
        with self._lock:
            if len(self._notes) < EFFECTS_MAX:
                self._notes.append(note)
            else:
                self._dropped += 1
        return note


class _Awaited(NamedTuple):
    loop: asyncio.AbstractEventLoop
    then: Callable[[], Awaitable[None]]


async def _awaiting(then: Callable[[], Awaitable[None]]) -> None:
    with outside():
        await then()


_current: ContextVar[Execution | None] = ContextVar("dualrun_execution", default=None)


def execution(*, role: Role, side: Side, submission_id: str, task: str, recorded: bool = False, safety: Safety | None = None) -> Execution:
    """Everything called inside belongs to this run: across awaits, tasks, and threads that are given a copy of the context.

    `recorded`: what the outside answers is kept, since a shadow of the submission will ask for it. `safety`: the class a shadow runs under.
    """
    return Execution(role=role, side=side, submission_id=submission_id, task=task, recorded=recorded, safety=safety)


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


def belonging(function: Callable[P, R]) -> Callable[P, R]:
    """The function as part of the run that hands it over, whichever thread calls it; as it is outside of any."""
    if _current.get() is None:
        return function
    # A copy for every call: a context cannot be entered twice at once.
    context = copy_context()
    return lambda *args, **kwargs: context.copy().run(function, *args, **kwargs)


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
