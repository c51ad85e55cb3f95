"""Calls that are answered: in the authority they are performed and their answers kept, in a shadow those answers are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dualrun.contracts import JsonValue
from dualrun.contracts.words import Safety, Unknown
from dualrun.effects.execution import Execution, Note, bounded
from dualrun.errors import ShadowRefused

__all__ = ["Asked", "ask", "set_unknown"]

# Reads, then writes.
_AS_NOTHING_KNOWN = (Unknown.ALLOW, Unknown.STUB)
_BY_CLASS: Mapping[Safety, tuple[Unknown, Unknown]] = {
    # It declares that it does nothing to the outside, so a call of its own is worth ending for.
    Safety.PURE: (Unknown.FAIL, Unknown.FAIL),
    Safety.IDEMPOTENT: _AS_NOTHING_KNOWN,
    Safety.SANDBOXED: _AS_NOTHING_KNOWN,
}
_worker: tuple[Unknown | None, Unknown | None] = (None, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """A call about to be made."""

    note: Note
    perform: bool
    answer: JsonValue = None
    """In a shadow, what the authority was answered; None where it never asked, or was answered by nothing."""


def set_unknown(*, reads: Unknown | None, writes: Unknown | None) -> None:
    """What becomes of a shadow's calls the authority never made, whatever their safety class says; None leaves it to the class."""
    global _worker  # noqa: PLW0603 - a setting of the process
    _worker = (reads, writes)


def ask(run: Execution, kind: str, key: str, payload: object, *, reads: bool, declared: bool = False) -> Asked:
    """Note the call and say what is to become of it. Raises `ShadowRefused` where unknown calls are to fail.

    `declared`: the place it goes to is declared safe for shadows.
    """
    if not run.shadow:
        return Asked(run.note(kind, key, payload, performed=True), True)
    answer = run.replay.take(kind, key, bounded(payload)) if run.replay is not None else None
    if answer is not None:
        return Asked(run.note(kind, key, payload, performed=False), False, answer)
    unknown = _unknown(run, reads=reads, declared=declared)
    if run.replay is None and unknown is not Unknown.ALLOW:
        run.answered_by_nothing()
    note = run.note(kind, key, payload, performed=unknown is Unknown.ALLOW)
    if unknown is Unknown.FAIL:
        note.failed("ShadowRefused")
        raise ShadowRefused(f"the authority was never answered {kind} {key}, so its shadow cannot be")
    return Asked(note, unknown is Unknown.ALLOW)


def _unknown(run: Execution, *, reads: bool, declared: bool) -> Unknown:
    """What becomes of a call there is no answer to: as the worker says, else as the class of the task does."""
    which = 0 if reads else 1
    if run.replay is None:
        return _AS_NOTHING_KNOWN[which]
    asked_for = _worker[which]
    if asked_for is not None:
        return asked_for
    # The authority may have made it where not all it was answered is known, and a shadow must not fail for that.
    if run.safety is None or not run.replay.complete or (reads and declared):
        return _AS_NOTHING_KNOWN[which]
    return _BY_CLASS.get(run.safety, _AS_NOTHING_KNOWN)[which]
