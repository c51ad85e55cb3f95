"""Canonical paths: the same fault in two submissions has the same path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from dualrun.contracts import JsonValue
from gateway.comparison.marks import MARK, looks_like_uuid
from gateway.comparison.stand_ins import STAND_IN

__all__ = ["MEMBER", "address", "effect_path", "generalised", "is_keyed_by_id", "segment_of", "texts_in", "without_texts"]

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
# Of an address, what stands between its separators and holds a digit is an id: `u40`, `ORD-7a`. `v1` and `oauth2` are words.
_SEGMENT = re.compile(r"[^/:?#&=\s]+")
_WORD_WITH_DIGIT = re.compile(r"(?:v|oauth|ipv|sha|md|utf-?|s3|web)\d*(?:\.\d+)*", re.IGNORECASE)
_HAS_ADDRESS = frozenset({"http", "cache", "file"})
_ADDRESSED = re.compile(r"/(?:effects/(?:http|cache|file)|trace)/")
_TEXTS_LOOKED_AT = 200
_GENERATED = re.compile(rf"<(?:uuid|ulid|time|date):\d+(?: [a-z]+)?>|{STAND_IN.pattern}")


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
    return f"/effects/{segment_of(kind)}/{(address if kind in _HAS_ADDRESS else generalised)(key)}"


@lru_cache(maxsize=16384)
def address(text: str) -> str:
    """An address (of HTTP, in a cache, of a file), general, and without the ids that are words with digits."""
    return _SEGMENT.sub(_unless_a_word, generalised(text))


def texts_in(given: JsonValue) -> frozenset[str]:
    """The texts a submission was called with that may be a segment of a path; of hostile arguments, some."""
    found: set[str] = set()
    todo, looked_at = [given], 0
    while todo and looked_at < _TEXTS_LOOKED_AT:
        one = todo.pop()
        looked_at += 1
        if isinstance(one, str):
            if 1 < len(one) <= _MAX_KEY_CHARS:
                found.add(one)
        elif isinstance(one, Mapping):
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            todo.extend(one)
    return frozenset(found)


def without_texts(path: str, texts: frozenset[str]) -> str:
    """A path of an effect with an address, or of a trace, in which what the submission was called with is `*`: user `ann` is no path."""
    head = _ADDRESSED.match(path) if texts else None
    if head is None:
        return path
    return head[0] + _SEGMENT.sub(lambda match: _ANY if match[0] in texts else match[0], path[head.end() :])


@lru_cache(maxsize=16384)
def generalised(text: str) -> str:
    """A text with everything in it that tells one submission from another as `*`, cut at 200 characters."""
    general = text[: 4 * _MAX_KEY_CHARS]
    for pattern in (_GENERATED, _ORIGIN, _QUERY_VALUE, _EMAIL, MARK, _TOKEN, _NUMBER):
        general = pattern.sub(_ANY, general)
    return general[:_MAX_KEY_CHARS]


def _unless_a_word(segment: re.Match[str]) -> str:
    text = segment[0]
    return _ANY if any(map(str.isdigit, text)) and not _WORD_WITH_DIGIT.fullmatch(text) else text


def _all_fields(keys: Iterable[str]) -> bool:
    return all(map(_is_field, keys))


def _is_field(key: str) -> bool:
    return len(key) <= _MAX_FIELD_CHARS and _is_name(key)


@lru_cache(maxsize=16384)
def _is_name(key: str) -> bool:
    return _FIELD.fullmatch(key) is not None and not looks_like_uuid(key)
