"""The names a person may have meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

__all__ = ["nearest"]


def nearest(name: str, names: Collection[str], limit: int = 3) -> list[str]:
    """Up to `limit` of the names most like this one, best first; empty where none is like it."""
    by_folded = {known.casefold(): known for known in names}
    return [by_folded[folded] for folded in get_close_matches(name.casefold(), list(by_folded), n=limit, cutoff=0.55)]
