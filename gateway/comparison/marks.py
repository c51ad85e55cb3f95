"""Ids and times inside text: where they are, and what makes two spellings the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

import msgspec

__all__ = [
    "MARK",
    "MAX_MARK_CHARS",
    "MIN_MARK_CHARS",
    "MIN_UUID_CHARS",
    "Instant",
    "IsoDate",
    "Mark",
    "Uuid",
    "has_marks",
    "looks_like_uuid",
    "mark_of",
    "marks_in",
    "matches_in",
    "microseconds",
    "renamed",
    "spelling_of",
]

# A UUID without dashes looks like any digest. Version and variant digits tell most digests apart; dashes need no such help.
MARK = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{12}[147][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}(?![0-9A-Za-z]))"
    r"|(?P<time>(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d))"
    r"|(?P<date>(?<!\d)\d{4}-\d\d-\d\d(?!\d))",
    re.ASCII,
)
# What every mark begins with. Far quicker to look for than the marks themselves.
_RUN = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{9,}", re.ASCII)
_MAX_TAIL_CHARS = 40
"""More than a time goes on after its date."""
MAX_MARK_CHARS = 50
"""More than any mark is long."""
MIN_MARK_CHARS = len("2026-11-21")
MIN_UUID_CHARS = 32
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")


class Uuid(msgspec.Struct, frozen=True):
    """A UUID by its 32 hexadecimal digits."""

    digits: str


class Instant(msgspec.Struct, frozen=True):
    """A moment, in microseconds since 1970; a time without a zone counts as UTC."""

    us: int


class IsoDate(msgspec.Struct, frozen=True):
    """A calendar day, by its proleptic ordinal."""

    ordinal: int


Mark = Uuid | Instant | IsoDate

_EPOCH = datetime.fromtimestamp(0, UTC)


def mark_of(match: re.Match[str]) -> Mark | None:
    """What one match of `MARK` means; None where it only looks like a time (`2026-13-45`)."""
    text = match.group()
    if match.lastgroup == "uuid":
        return Uuid(text.replace("-", "").lower())
    try:
        if match.lastgroup == "date":
            return IsoDate(date.fromisoformat(text).toordinal())
        return Instant(microseconds(datetime.fromisoformat(text)))
    except (ValueError, OverflowError):
        return None


def matches_in(text: str) -> Iterator[tuple[re.Match[str], Mark]]:
    """Ids and times in a text, in order, with their places."""
    end = 0
    for run in _RUN.finditer(text):
        start = max(end, run.start())
        while start < run.end():
            match = MARK.search(text, start, run.end() + _MAX_TAIL_CHARS)
            if match is None:
                break
            start = end = match.end()
            mark = mark_of(match)
            if mark is not None:
                yield match, mark


def marks_in(text: str) -> Iterator[Mark]:
    """Ids and times in a text, in order."""
    return (mark for _, mark in matches_in(text))


def has_marks(text: str) -> bool:
    return next(matches_in(text), None) is not None


def renamed(text: str, names: Mapping[Mark, str]) -> str:
    """The text with the marks that have a name written as that."""
    if len(text) < MIN_MARK_CHARS:
        return text
    parts: list[str] = []
    end = 0
    for match, mark in matches_in(text):
        name = names.get(mark)
        if name is not None:
            parts += (text[end : match.start()], name)
            end = match.end()
    return "".join((*parts, text[end:])) if parts else text


def spelling_of(mark: Mark) -> str:
    """The one way a mark is written where two sides write it differently."""
    match mark:
        case Uuid(digits):
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        case IsoDate(ordinal):
            return date.fromordinal(ordinal).isoformat()
        case Instant(us):
            return (_EPOCH + timedelta(microseconds=us)).isoformat() if _FIRST <= us <= _LAST else f"{us} us"


def looks_like_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone counts as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_FIRST, _LAST = microseconds(datetime.min.replace(tzinfo=UTC)), microseconds(datetime.max.replace(tzinfo=UTC))
