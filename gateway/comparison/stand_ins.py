"""What stands for a secret: a text nobody can read it from, which compares as the secret does.

An id made up by a run stays such an id, alone (`5ec2e700-...`, `01SECRET...`) or inside of another secret (`<secret:` digest `:` id `>`),
so that what the comparison says of made-up ids it says of their stand-ins. Everything else is `<secret:` and 12 digits of its HMAC. The
key is the installation's own: without it, nobody can try out which secret a digest belongs to.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from math import isnan

from dualrun.contracts import JsonValue
from gateway.comparison.marks import MIN_MARK_CHARS, Instant, Mark, Ulid, Uuid, matches_in, number_mark, spelling_of

__all__ = ["LABELS", "STAND_IN", "StandIns", "holds_stand_in_id", "is_any_number", "is_stand_in", "redacted_places"]

LABELS = ("secret", "email", "card", "token")
_PLACEHOLDER = r"<(?:uuid|ulid|time|date):\d+(?: [a-z]+)?>"
STAND_IN = re.compile(rf"(<(?:{'|'.join(LABELS)}):[0-9a-f]{{12}}(?::(?:{_PLACEHOLDER}|[0-9A-Za-z:.,+ -])*)?>)")
_UUID_BEGINS, _ULID_BEGINS = "5ec2e700", "01SECRET"
_DONE = re.compile(
    rf"{STAND_IN.pattern}|{_PLACEHOLDER}|(?i:{_UUID_BEGINS}-?(?:[0-9a-f]{{4}}-?){{3}}[0-9a-f]{{12}})|{_ULID_BEGINS}[0-9A-Z]{{18}}"
)
_STAND_IN_ID = re.compile(rf"(?i:{_UUID_BEGINS})|{_ULID_BEGINS}")
_DIGITS = 12
_MIDNIGHT = re.compile(r"[T ]00:00")
_NEAR_US = 31 * 86_400 * 1_000_000
"""A number that stands for a moment farther from the run than that may be any secret of as many digits."""
_ULID_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class StandIns:
    """The same one for the same secret, always; another one for another."""

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def of_text(self, text: str, label: str = "secret", *, run_us: int = 0) -> str:
        """What stands for a text, in the record of a run that started at `run_us`; for a stand-in, itself."""
        if _DONE.fullmatch(text):
            return text
        if len(text) < MIN_MARK_CHARS:
            return f"<{label}:{self._digest(text)}>"
        template, kept, end = "", [], 0
        for match, mark in matches_in(text):
            if is_any_number(mark, run_us):
                continue
            stand_in = self.of_id(match[0], mark) if isinstance(mark, Uuid) else _kept_moment(match[0], mark)
            if stand_in is not None:
                kept.append(stand_in)
            # Of what is not kept, both spellings are one.
            template += text[end : match.start()] + ("\0" if stand_in is not None else spelling_of(mark))
            end = match.end()
        # An id, or a moment, and nothing else: where only one side's record names it, the other side has it bare.
        if template == "\0" and end == len(text):
            return kept[0]
        return f"<{':'.join((label, self._digest(template + text[end:]), *kept))}>"

    def of_value(self, value: bool | float, *, run_us: int = 0) -> bool | float | str:
        """What stands for a number or a truth value. The type is part of what is told apart: 1 and 1.0 are one number, "1" is none.

        A moment near the run is kept.
        """
        moment = None if isinstance(value, bool) else number_mark(value)
        if moment is not None and not is_any_number(moment, run_us):
            return value
        if isinstance(value, bool):
            return f"<secret:{self._digest(f'{value} bool')}>"
        if isnan(value):
            return f"<secret:{self._digest('nan')}>"
        return f"<secret:{self._digest(f'{int(value) if float(value).is_integer() else value!r} number')}>"

    def of_id(self, spelling: str, mark: Uuid) -> str:
        """The id that stands for another one, spelled as that: with dashes or without, large or small."""
        if is_stand_in(mark):
            return spelling
        digits = self.digits_of(mark)
        if isinstance(mark, Ulid):
            return digits
        spelled = spelling_of(Uuid(digits)) if "-" in spelling else digits
        return spelled.upper() if spelling.isupper() else spelled

    def digits_of(self, mark: Uuid) -> str:
        """Those of the id that stands for it."""
        made = self._hmac(mark.digits)
        if isinstance(mark, Ulid):
            return _ULID_BEGINS + "".join(_ULID_ALPHABET[int(made[at : at + 2], 16) & 31] for at in range(0, 36, 2))
        return f"{_UUID_BEGINS}{made[:4]}4{made[4:7]}{'89ab'[int(made[7], 16) & 3]}{made[8:23]}"

    def _digest(self, text: str) -> str:
        return self._hmac(text)[:_DIGITS]

    def _hmac(self, text: str) -> str:
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def is_stand_in(mark: Uuid) -> bool:
    """Whether an id stands for another one."""
    return mark.digits.startswith((_UUID_BEGINS, _ULID_BEGINS))


def holds_stand_in_id(text: str) -> bool:
    return _STAND_IN_ID.search(text) is not None


def is_any_number(mark: Mark, run_us: int) -> bool:
    """Whether it is digits that stand for a moment far from the run, if for one at all."""
    return isinstance(mark, Instant) and mark.is_number and abs(mark.us - run_us) > _NEAR_US


def _kept_moment(spelling: str, mark: Mark) -> str | None:
    """A moment. None for a day, and midnight, which may be somebody's birthday."""
    return spelling if isinstance(mark, Instant) and _MIDNIGHT.search(spelling) is None else None


def redacted_places(value: JsonValue, path: str = "") -> tuple[str, ...]:
    """Where something stands for a secret."""
    if isinstance(value, str):
        return (path,) if STAND_IN.search(value) or holds_stand_in_id(value) else ()
    if isinstance(value, Mapping):
        return tuple(place for key, member in value.items() for place in redacted_places(member, f"{path}/{key}"))
    if isinstance(value, (list, tuple)):
        return tuple(place for index, member in enumerate(value) for place in redacted_places(member, f"{path}/{index}"))
    return ()
