"""How many different keys there were, in a space that does not grow with them: the k smallest of their hashes.

Source: Bar-Yossef et al. (2002), k minimum values. Exact up to k keys; beyond, the k-th smallest hash says how densely all of them lie,
within about 1 / sqrt(k - 2): 9 % one time in three.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterable

__all__ = ["KEPT", "Sketch"]

KEPT = 128
_BYTES = 8
_SPACE = 1 << (8 * _BYTES)


class Sketch:
    """The keys seen. Adding one again changes nothing, and the order of adding does not matter."""

    __slots__ = ("_hashes",)

    def __init__(self, hashes: Iterable[int] = ()) -> None:
        self._hashes: tuple[int, ...] = tuple(sorted(set(hashes))[:KEPT])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._hashes == other._hashes

    def __hash__(self) -> int:
        return hash(self._hashes)

    def with_keys(self, keys: Iterable[str]) -> Sketch:
        """The sketch of these and of what was seen before."""
        return Sketch((*self._hashes, *map(_hash, keys)))

    def count(self) -> int:
        """How many different keys were seen: exactly below `KEPT`, about so many beyond."""
        if len(self._hashes) < KEPT:
            return len(self._hashes)
        return (KEPT - 1) * _SPACE // self._hashes[-1]

    def to_text(self) -> str:
        """For a column of text."""
        return base64.b64encode(b"".join(one.to_bytes(_BYTES, "big") for one in self._hashes)).decode()

    @classmethod
    def from_text(cls, text: str) -> Sketch:
        """What `to_text` gave."""
        raw = base64.b64decode(text)
        sketch = cls()
        # They are in order already.
        sketch._hashes = struct.unpack(f">{len(raw) // _BYTES}Q", raw)
        return sketch


def _hash(key: str) -> int:
    # 0 would say that the keys lie infinitely dense.
    return max(1, int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=_BYTES).digest(), "big"))
