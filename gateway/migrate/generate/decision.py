"""What a person must decide before a generated handler means what its task meant."""

from __future__ import annotations

import msgspec

__all__ = ["Decision", "blocks", "todo"]


class Decision(msgspec.Struct, frozen=True, order=True):
    """One open point. A handler with one that blocks raises until somebody has settled it."""

    line: int
    """In the task's file."""
    text: str
    blocks: bool = False


def blocks(decisions: list[Decision]) -> bool:
    """Whether one of them does."""
    return any(decision.blocks for decision in decisions)


def todo(decision: Decision) -> str:
    """The comment a generated file carries."""
    return f"# TODO(migrate): {decision.text} (line {decision.line})"
