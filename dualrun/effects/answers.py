"""What the outside answered the authority, kept for the shadow of the same submission: it then sees the same world.

Answers are no part of an outcome: they are kept for an hour beside the work and never reach the ledger.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from typing import Protocol

import msgspec

from dualrun.contracts import JsonValue

__all__ = ["ANSWER_MAX_BYTES", "KEPT_S", "RECORDING_MAX_BYTES", "Answer", "Answers", "MemoryAnswers", "Recorder", "Recording", "Replay"]

ANSWER_MAX_BYTES = 64 * 1024
RECORDING_MAX_BYTES = 512 * 1024
KEPT_S = 3_600
_MEMORY_MAX = 1_000


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to one call, which kind, key and payload name."""

    kind: str
    key: str
    payload: JsonValue = None
    content: JsonValue = None
    """As the capture that asked writes and reads it: status, headers and body of HTTP, the reply of Redis."""


class Recording(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answers of one execution, in the order of the calls."""

    answers: tuple[Answer, ...] = ()
    dropped: int = 0
    """Answers too large to be kept, and calls whose answer no capture could read."""
    failed: int = 0
    """Calls that ended in an error: there is no answer to them."""

    @property
    def complete(self) -> bool:
        """Whether every call of the authority's is among the answers, so that any other is one it never made."""
        return not self.dropped and not self.failed


class Answers(Protocol):
    """Where recordings wait for the shadow. Both methods may block for a moment, and neither raises: without answers a shadow runs too.

    Each attempt has a recording of its own: a shadow that is quicker than the authority's retries would be given the first refusal again
    and again, and give up where the authority does not.
    """

    def put(self, submission_id: str, recording: Recording, *, attempt: int, is_last: bool) -> None:
        """Keep what an attempt was answered for `KEPT_S` seconds; attempts count from 1."""
        ...

    def get(self, submission_id: str, attempt: int) -> Recording | None:
        """Of the same attempt, or of the last where the authority needed no more; None while that has not ended, or none was kept."""
        ...

    def take_lost(self) -> int:
        """How many recordings could not be kept since this was asked last."""
        ...


class MemoryAnswers:
    """Recordings of this process alone, the newest thousand: for the embedded mode, where both sides run in one."""

    def __init__(self) -> None:
        self._recordings: OrderedDict[tuple[str, int], Recording] = OrderedDict()
        self._last: OrderedDict[str, int] = OrderedDict()

    def put(self, submission_id: str, recording: Recording, *, attempt: int, is_last: bool) -> None:
        self._recordings[submission_id, attempt] = recording
        if is_last:
            self._last[submission_id] = attempt
        for kept in (self._recordings, self._last):
            if len(kept) > _MEMORY_MAX:
                kept.popitem(last=False)

    def get(self, submission_id: str, attempt: int) -> Recording | None:
        last = self._last.get(submission_id, attempt)
        return self._recordings.get((submission_id, min(attempt, last)))

    def take_lost(self) -> int:
        return 0


class Recorder:
    """Collects the answers of one execution, within `RECORDING_MAX_BYTES`."""

    __slots__ = ("_answers", "_bytes", "dropped", "failed")

    def __init__(self) -> None:
        self._answers: list[Answer] = []
        self._bytes = 0
        self.dropped = 0
        self.failed = 0

    def add(self, answer: Answer) -> None:
        """Keep it, or count it where it is too large."""
        size = len(msgspec.json.encode(answer))
        if size > ANSWER_MAX_BYTES or self._bytes + size > RECORDING_MAX_BYTES:
            self.dropped += 1
        else:
            self._bytes += size
            self._answers.append(answer)

    def recording(self) -> Recording:
        """What was collected."""
        return Recording(answers=tuple(self._answers), dropped=self.dropped, failed=self.failed)


class Replay:
    """The answers a shadow may have, each once, the earliest first."""

    __slots__ = ("_left", "complete", "taken", "unknown")

    def __init__(self, answers: Iterable[Answer], *, complete: bool = True) -> None:
        self._left: dict[tuple[str, str, bytes], deque[JsonValue]] = defaultdict(deque)
        for answer in answers:
            self._left[_call(answer.kind, answer.key, answer.payload)].append(answer.content)
        self.complete = complete
        """Whether these are all of the authority's: else an unknown call may be one it made."""
        self.taken = 0
        """Calls that were given the authority's answer."""
        self.unknown = 0
        """Calls the authority never made, or not as often, or whose answer was too large to be kept."""

    def take(self, kind: str, key: str, payload: JsonValue) -> JsonValue:
        """The answer to the same call; None where there is none left."""
        left = self._left.get(_call(kind, key, payload))
        if left:
            self.taken += 1
            return left.popleft()
        self.unknown += 1
        return None


def _call(kind: str, key: str, payload: JsonValue) -> tuple[str, str, bytes]:
    return kind, key, msgspec.json.encode(payload, order="deterministic")
