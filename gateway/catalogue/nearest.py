"""Names a mistyped task name may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["nearest"]

_SIMILAR = 0.6


def nearest(name: str, names: Iterable[str], limit: int = 3) -> list[str]:
    """At most `limit` of `names` like `name`, the likest first: in spelling, or the same task under another prefix."""
    candidates = sorted(set(names))
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    close = [by_lower[match] for match in get_close_matches(name.lower(), by_lower, n=limit, cutoff=_SIMILAR)]
    own = _last_part(name)
    same_task = [candidate for candidate in candidates if _last_part(candidate) == own and candidate not in close]
    return (close + same_task)[:limit]


def _last_part(name: str) -> str:
    return name.lower().rpartition(".")[2]
