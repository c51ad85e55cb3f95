"""A message published to a broker by the task itself, in the form both sides share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dualrun.contracts import EffectKind
from dualrun.effects.execution import current_execution, outside

__all__ = ["publishing"]


@contextmanager
def publishing(exchange: str, routing_key: str, body: object) -> Iterator[bool]:
    """Note the message and say whether it is to be published; what is done to that end is the library's and belongs to no run."""
    run = current_execution()
    if run is None:
        yield True
        return
    note = run.note(EffectKind.MESSAGE, f"{exchange}/{routing_key}", {"body": body}, performed=not run.shadow)
    try:
        if run.shadow:
            yield False
        else:
            with outside():
                yield True
    except BaseException as exc:
        note.failed(type(exc).__name__)
        raise
