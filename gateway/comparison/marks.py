"""Ids and times inside text: where they are, and what makes two spellings the same one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import msgspec

__all__ = [
    "MARK",
    "MAX_MARK_CHARS",
    "MIN_MARK_CHARS",
    "MIN_UUID_CHARS",
    "Instant",
    "IsoDate",
    "Mark",
    "Ulid",
    "Uuid",
    "has_marks",
    "looks_like_uuid",
    "mark_of",
    "marks_in",
    "matches_in",
    "microseconds",
    "number_mark",
    "renamed",
    "spelling_of",
]

# A UUID without dashes looks like any digest. Version and variant digits tell most digests apart; dashes need no such help.
MARK = re.compile(
    r"(?P<uuid>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])[0-9A-Fa-f]{12}[147][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}(?![0-9A-Za-z]))"
    r"|(?P<time>(?<!\d)\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\d))"
    r"|(?P<date>(?<!\d)\d{4}-\d\d-\d\d(?!\d))"
    r"|(?P<ulid>(?<![0-9A-Za-z])01(?=[0-9]*[A-Z])[0-9A-HJKMNP-TV-Z]{24}(?![0-9A-Za-z]))"
    r"|(?P<mail>(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(?<!\d)\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}"
    r" \d\d:\d\d(?::\d\d)? (?:GMT|UTC|[+-]\d{4})(?!\w))"
    r"|(?P<epoch>(?<![\w.+-])1\d{9}(?:\d{3}|\d{6})?(?:\.\d{1,9})?(?![\w-])(?!\.\d))",
    re.ASCII,
)
"""UUIDs, times and dates after ISO 8601 and RFC 3339, ULIDs of our years, times of mail and HTTP (RFC 2822), and seconds, milliseconds or
microseconds since 1970. Source: dual-run.md 4.9; ULID's specification for its alphabet."""
# What marks begin with. Far quicker to look for than the marks themselves; the longer one only where a text may hold one of the others.
_RUN = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{9,}", re.ASCII)
_RUN_OF_ANY = re.compile(r"[0-9A-Fa-f][0-9A-Fa-f-]{9,}|01[0-9A-Z]{24}|(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4} ", re.ASCII)
# Each begins with a literal, which is found at the speed of memory.
_ULID = re.compile(r"01[0-9A-Z]{24}", re.ASCII)
_MAIL_YEAR = re.compile(r" [A-Z][a-z]{2} \d{4} \d\d:", re.ASCII)
_MAX_TAIL_CHARS = 40
"""More than a time goes on after its date."""
MAX_MARK_CHARS = 50
"""More than any mark is long."""
MIN_MARK_CHARS = len("2026-11-21")
MIN_UUID_CHARS = 26
"""Of a ULID; a UUID has 32 and more."""
_UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}|[0-9A-Fa-f]{12}[147][0-9A-Fa-f]{3}[89ABab][0-9A-Fa-f]{15}")


class Uuid(msgspec.Struct, frozen=True):
    """A UUID by its 32 hexadecimal digits."""

    digits: str


class Ulid(Uuid, frozen=True):
    """A ULID by its 26 characters: generated and paired as UUIDs are, and never equal to one."""


class Instant(msgspec.Struct, frozen=True):
    """A moment, in microseconds since 1970; a time without a zone counts as UTC."""

    us: int
    form: str = ""
    """How it is written where that is not ISO 8601: who reads one form cannot read another."""

    @property
    def is_number(self) -> bool:
        """Whether it may as well be any other number."""
        return self.form in _EPOCH_UNITS


class IsoDate(msgspec.Struct, frozen=True):
    """A calendar day, by its proleptic ordinal."""

    ordinal: int


Mark = Uuid | Instant | IsoDate

_EPOCH_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_EPOCH_DIGITS = {10: "s", 13: "ms", 16: "us"}
_EPOCH = datetime.fromtimestamp(0, UTC)


def mark_of(match: re.Match[str]) -> Mark | None:
    """What one match of `MARK` means; None where it only looks like a time (`2026-13-45`)."""
    text = match.group()
    if match.lastgroup == "uuid":
        return Uuid(text.replace("-", "").lower())
    if match.lastgroup == "ulid":
        return Ulid(text)
    if match.lastgroup == "epoch":
        return _since_1970(text)
    try:
        if match.lastgroup == "mail":
            return Instant(microseconds(parsedate_to_datetime(text)), "mail")
        if match.lastgroup == "date":
            return IsoDate(date.fromisoformat(text).toordinal())
        return Instant(microseconds(datetime.fromisoformat(text)))
    except (ValueError, OverflowError):
        return None


def _since_1970(text: str) -> Instant:
    whole, _, fraction = text.partition(".")
    unit = _EPOCH_DIGITS[len(whole)]
    size = _EPOCH_UNITS[unit]
    return Instant(int(whole) * size + (int(fraction) * size // 10 ** len(fraction) if fraction else 0), unit)


def number_mark(number: float) -> Instant | None:
    """The moment a number of JSON may be: as the same digits in a text."""
    if not 1_000_000_000 <= number < 2_000_000_000_000_000:
        return None
    text = repr(number)
    match = MARK.fullmatch(text)
    return _since_1970(text) if match is not None and match.lastgroup == "epoch" else None


def matches_in(text: str) -> Iterator[tuple[re.Match[str], Mark]]:
    """Ids and times in a text, in order, with their places."""
    end = 0
    for run in (_RUN_OF_ANY if _may_hold_others(text) else _RUN).finditer(text):
        start = max(end, run.start())
        while start < run.end():
            match = MARK.search(text, start, run.end() + _MAX_TAIL_CHARS)
            if match is None:
                break
            start = end = match.end()
            mark = mark_of(match)
            if mark is not None:
                yield match, mark


def _may_hold_others(text: str) -> bool:
    """Whether a ULID or a time of mail may be in it. Texts of another kind are the most, and are looked at but once."""
    if "01" in text and _ULID.search(text) is not None:
        return True
    return (" GMT" in text or " +" in text or " -" in text or " UTC" in text) and _MAIL_YEAR.search(text) is not None


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
        case Ulid(digits):
            return digits
        case Uuid(digits):
            return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        case IsoDate(ordinal):
            return date.fromordinal(ordinal).isoformat()
        case Instant(us, form):
            text = (_EPOCH + timedelta(microseconds=us)).isoformat() if _FIRST <= us <= _LAST else f"{us} us"
            return f"{text} {form}" if form else text


def looks_like_uuid(text: str) -> bool:
    return _UUID.fullmatch(text) is not None


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone counts as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    since = aware - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


_FIRST, _LAST = microseconds(datetime.min.replace(tzinfo=UTC)), microseconds(datetime.max.replace(tzinfo=UTC))
