"""A sample's two sides as text."""

from __future__ import annotations

import msgspec

from dualrun.contracts import JsonValue
from gateway.core.comparison import DifferenceKind
from gateway.report.words import counted, visible

__all__ = ["NOTHING", "sides_of"]

NOTHING = "nothing"
_LONGEST = 2_000

_LACKS_SHADOW = frozenset({DifferenceKind.MISSING, DifferenceKind.EFFECT_MISSING})
_LACKS_AUTHORITY = frozenset({DifferenceKind.EXTRA, DifferenceKind.EFFECT_EXTRA})


def sides_of(kind: DifferenceKind, authority: JsonValue, shadow: JsonValue) -> tuple[str, str]:
    """Authority and shadow as JSON for people, cut where it is long; `nothing` for the side that lacks what the other has."""
    return (
        NOTHING if kind in _LACKS_AUTHORITY and authority is None else _text(authority),
        NOTHING if kind in _LACKS_SHADOW and shadow is None else _text(shadow),
    )


def _text(value: JsonValue) -> str:
    text = visible(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    left_out = len(text) - _LONGEST
    return text if left_out <= 0 else f"{text[:_LONGEST]}\n... {counted(left_out)} more characters"
