"""Canonical paths: the same fault in two submissions has the same path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from gateway.comparison.marks import MARK, looks_like_uuid

__all__ = ["MEMBER", "effect_path", "is_keyed_by_id", "segment_of"]

MEMBER = "[*]"
"""Any member of a list."""
_ANY = "*"
_MAX_FIELDS = 50
_MAX_FIELD_CHARS = 100
_MAX_KEY_CHARS = 200
_FIELD = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)

_EMAIL = re.compile(r"[^\s@/:,;<>]+@[^\s@/:,;<>]+")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]*", re.IGNORECASE)
_QUERY_VALUE = re.compile(r"(?<==)[^&\s]+")
# A run of letters and digits this long is a token; `v1` and `sha256` are words.
_TOKEN = re.compile(r"(?<![A-Za-z0-9_-])(?=[A-Za-z_-]*\d)(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{20,}(?![A-Za-z0-9_-])")
_NUMBER = re.compile(r"(?<![A-Za-z0-9])\d+(?:\.\d+)?(?![A-Za-z0-9])|\d{3,}")
_GENERATED = re.compile(r"<(?:uuid|time|date):\d+>")


def is_keyed_by_id(*objects: Mapping[str, object]) -> bool:
    """Whether the keys of an object are data and not field names. They are then no part of a path.

    More than 50 keys, or one that is no field name: longer than 100 characters, starting with a digit, with other characters than
    letters, digits, `_`, `$` and `-`, or a UUID. Source: Diffy's heuristic, which also takes `-` for data; header names have it.
    """
    return any(len(one) > _MAX_FIELDS or not _all_fields(one) for one in objects)


def segment_of(key: str) -> str:
    """The segment of one key, judged by itself."""
    return key if _is_field(key) else _ANY


def effect_path(kind: str, key: str) -> str:
    """`/effects/<kind>/<key>`, with everything in the key that tells one submission from another as `*`.

    E-mail addresses, scheme and host, UUIDs, times, numbers, long tokens and the values of a query go.
    """
    general = key[: 4 * _MAX_KEY_CHARS]
    for pattern in (_ORIGIN, _QUERY_VALUE, _EMAIL, MARK, _GENERATED, _TOKEN, _NUMBER):
        general = pattern.sub(_ANY, general)
    return f"/effects/{segment_of(kind)}/{general[:_MAX_KEY_CHARS]}"


def _all_fields(keys: Iterable[str]) -> bool:
    return all(map(_is_field, keys))


def _is_field(key: str) -> bool:
    return len(key) <= _MAX_FIELD_CHARS and _is_name(key)


@lru_cache(maxsize=16384)
def _is_name(key: str) -> bool:
    return _FIELD.fullmatch(key) is not None and not looks_like_uuid(key)
