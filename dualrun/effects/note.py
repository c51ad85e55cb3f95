"""One effect as it is being caused, and which thread or asyncio task causes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from dualrun.contracts import Effect, JsonValue
from dualrun.effects.answers import Answer, Recorder

__all__ = ["Lane", "Note", "lane_here", "sequenced"]

Lane: TypeAlias = tuple[int, int]
"""A thread, and an asyncio task in it."""


def lane_here() -> Lane:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return threading.get_ident(), id(task)


class Note:
    """An effect as it is being caused: its place in the order is taken before the outside has answered."""

    __slots__ = ("_recorder", "effect", "lane", "pending")

    def __init__(self, effect: Effect, recorder: Recorder | None = None, lane: Lane = (0, 0)) -> None:
        self.effect = effect
        self.lane = lane
        """What made the call: within one lane, calls come one after the other."""
        self.pending = False
        """True while a transaction that may still be rolled back holds it: not an effect yet."""
        self._recorder = recorder

    def failed(self, kind: str) -> None:
        """The outside answered with an error of that kind."""
        self.effect = msgspec.structs.replace(self.effect, error=kind)
        if self._recorder is not None:
            self._recorder.failed += 1

    @property
    def recorded(self) -> bool:
        """True where the answer is wanted: a shadow will ask for it."""
        return self._recorder is not None

    def answered(self, content: JsonValue) -> None:
        """The outside answered with that."""
        if self._recorder is not None:
            effect = self.effect
            self._recorder.add(Answer(kind=effect.kind, key=effect.key, payload=effect.payload, content=content))

    def unread(self) -> None:
        """The outside answered, and the answer could not be read without disturbing the task."""
        if self._recorder is not None:
            self._recorder.dropped += 1


def sequenced(notes: Iterable[Note]) -> tuple[Effect, ...]:
    """The effects of notes in their order, those said to be concurrent that share kind and key with one of another lane."""
    notes = list(notes)
    if len({note.lane for note in notes}) < 2:
        return tuple(note.effect for note in notes)
    lanes: dict[tuple[str, str], set[Lane]] = {}
    for note in notes:
        lanes.setdefault((note.effect.kind, note.effect.key), set()).add(note.lane)
    return tuple(
        msgspec.structs.replace(note.effect, concurrent=True) if len(lanes[note.effect.kind, note.effect.key]) > 1 else note.effect
        for note in notes
    )
