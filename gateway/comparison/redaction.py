"""What must not be kept, replaced by what still compares: equal secrets stay equal, different ones different.

A secret becomes `<secret:` and 12 digits of its HMAC, a UUID another UUID, so that ids made up on both sides are still recognised. The
key is the installation's own: without it, nobody can try out which secret a digest belongs to.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from dualrun.contracts import Effect, JsonObject, JsonValue, Outcome, Role, SpanRecord, SubmissionRecord
from gateway.comparison.bounds import MAX_DEPTH
from gateway.comparison.generated_keys import with_secret_keys
from gateway.comparison.marks import looks_like_uuid
from gateway.comparison.paths import MEMBER, effect_path
from gateway.comparison.rules import RedactionRules, TaskRules, path_pattern
from gateway.core.comparison import Difference

__all__ = ["PATTERNS", "Redactor", "redacted_places"]

_NAMES = frozenset(
    {
        "accesstoken",
        "apikey",
        "authorization",
        "authtoken",
        "cardnumber",
        "clientsecret",
        "cookie",
        "credentials",
        "csrftoken",
        "cvc",
        "cvv",
        "idtoken",
        "passwd",
        "password",
        "privatekey",
        "proxyauthorization",
        "pwd",
        "refreshtoken",
        "secret",
        "sessionid",
        "setcookie",
        "token",
        "xapikey",
        "xcsrftoken",
    }
)
"""Without case, `-` and `_`; of a dotted name (`http.request.header.authorization`) the last part."""
_SQUEEZED = str.maketrans("", "", "-_ ")
_REDACTED = re.compile(r"<(?:secret|email|card|token):[0-9a-f]{12}>")
_QUERY = re.compile(r"(?P<head>[?&;](?P<name>[\w.\-]{1,40})=)(?P<value>[^&;\s#]+)")
_QUOTED = re.compile(r'(?P<head>"(?P<name>[\w.\-]{1,40})"\s*:\s*)(?P<value>"(?:[^"\\]|\\.)*"?|[\w.\-]+)')
_DIGITS = 12

PATTERNS: Mapping[str, re.Pattern[str]] = {
    # As long as addresses are (RFC 5321), or a text without an `@` would be read again from each of its characters.
    "email": re.compile(r"[^\s@/:,;<>\"'()]{1,64}@[^\s@/:,;<>\"'()]{1,255}\.[A-Za-z]{2,63}"),
    "card": re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])"),
    "token": re.compile(
        r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:sk|pk|rk)_(?:live|test)_\w{8,}|\bgh[pousr]_\w{20,}|\bAKIA[A-Z0-9]{16}\b|\bxox[abpr]-[\w-]{10,}"
        r"|(?<=Bearer )[\w.~+/=-]{8,}"
    ),
}
"""What a rule file may ask for by name, wherever it stands."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is redacted of one task's records."""

    names: frozenset[str]
    paths: tuple[re.Pattern[str], ...]
    patterns: tuple[str, ...]

    def hides(self, path: str, name: str) -> bool:
        return name.rpartition(".")[2].translate(_SQUEEZED).lower() in self.names or any(pattern.match(path) for pattern in self.paths)


class Redactor:
    """Redacts records before they are stored, and differences before they are shown. Doing it twice changes nothing."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def outcome(self, outcome: Outcome, rules: TaskRules) -> Outcome:
        """Everything by name, path and pattern; but the authority's value by what the rules name alone: its caller reads it back."""
        wanted = _wanted(rules.redaction)
        is_read_back = outcome.role is Role.AUTHORITY and not rules.redaction.values
        of_value = replace(wanted, names=_squeezed(rules.redaction.names)) if is_read_back else wanted
        failure = outcome.failure
        if failure is not None:
            traceback = None if failure.traceback is None else self._text(failure.traceback, wanted)
            failure = msgspec.structs.replace(failure, message=self._text(failure.message, wanted), traceback=traceback)
        redacted = msgspec.structs.replace(
            outcome,
            value=self._redacted(outcome.value, "/value", of_value),
            failure=failure,
            effects=tuple(self._effect(effect, wanted) for effect in outcome.effects),
            spans=tuple(self._span(span, wanted) for span in outcome.spans),
        )
        return self._told(redacted)

    def comparable(self, authority: Outcome, shadow: Outcome, rules: TaskRules) -> tuple[Outcome, Outcome]:
        """Both with values as the shadow's is kept, so that what was kept of one is not held against what was not of the other."""
        if authority.value == shadow.value:
            return authority, shadow
        wanted = _wanted(rules.redaction)
        kept = [self._redacted(outcome.value, "/value", wanted) for outcome in (authority, shadow)]
        ours, theirs = msgspec.structs.replace(authority, value=kept[0]), msgspec.structs.replace(shadow, value=kept[1])
        return self._told(ours), self._told(theirs)

    def shown(self, outcome: Outcome) -> Outcome:
        """An outcome on record as people see it who are not its caller: the value without what has the name of a secret."""
        return msgspec.structs.replace(outcome, value=self._redacted(outcome.value, "/value", _BY_NAME))

    def submission(self, record: SubmissionRecord, rules: TaskRules) -> SubmissionRecord:
        """Args and kwargs, by name, path and pattern."""
        wanted, submission = _wanted(rules.redaction), record.submission
        args = self._redacted(submission.args, "/args", wanted)
        kwargs = self._redacted(submission.kwargs, "/kwargs", wanted)
        assert isinstance(args, (list, tuple))
        assert isinstance(kwargs, dict)
        return msgspec.structs.replace(record, submission=msgspec.structs.replace(submission, args=tuple(args), kwargs=kwargs))

    def difference(self, difference: Difference, rules: TaskRules) -> Difference:
        """Both samples, the value's by name too."""
        wanted = _wanted(rules.redaction)
        name = difference.path.rpartition("/")[2]
        samples = (self._member(sample, difference.path, name, wanted) for sample in (difference.authority, difference.shadow))
        authority, shadow = samples
        return replace(difference, authority=authority, shadow=shadow)

    def _told(self, outcome: Outcome) -> Outcome:
        """With what stands in it for keys the database gave, so that they are still recognised."""
        return msgspec.structs.replace(outcome, generated=with_secret_keys(outcome, self._secret)) if outcome.generated else outcome

    def _effect(self, effect: Effect, wanted: _Wanted) -> Effect:
        path = effect_path(effect.kind, effect.key)
        return msgspec.structs.replace(effect, key=self._text(effect.key, wanted), payload=self._redacted(effect.payload, path, wanted))

    def _span(self, span: SpanRecord, wanted: _Wanted) -> SpanRecord:
        attributes: JsonObject = {name: self._member(value, f"/trace/{name}", name, wanted) for name, value in span.attributes.items()}
        return msgspec.structs.replace(span, name=self._text(span.name, wanted), attributes=attributes)

    def _redacted(self, value: JsonValue, path: str, wanted: _Wanted, depth: int = 0) -> JsonValue:
        if isinstance(value, str):
            return self._text(value, wanted)
        if isinstance(value, Mapping):
            if depth >= MAX_DEPTH:
                return self._digest("secret", repr(value))
            return {key: self._member(member, f"{path}/{key}", key, wanted, depth + 1) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            if depth >= MAX_DEPTH:
                return self._digest("secret", repr(value))
            return [self._member(item, f"{path}/{MEMBER}", "", wanted, depth + 1) for item in value]
        return value

    def _member(self, value: JsonValue, path: str, name: str, wanted: _Wanted, depth: int = 0) -> JsonValue:
        if value is not None and value != "" and wanted.hides(path, name):
            return self._secret(value)
        return self._redacted(value, path, wanted, depth)

    def _secret(self, value: JsonValue) -> JsonValue:
        if isinstance(value, str):
            if _REDACTED.fullmatch(value):
                return value
            if looks_like_uuid(value):
                return str(uuid.UUID(bytes=self._hmac(value.lower())[:16], version=4))
            return self._digest("secret", value)
        # Its type is part of what is told apart: 1 and "1" differ.
        return self._digest("secret", msgspec.json.encode(value, order="deterministic").decode() + type(value).__name__)

    def _text(self, text: str, wanted: _Wanted) -> str:
        def value_of(match: re.Match[str]) -> str:
            hidden = wanted.hides("", match["name"]) and not _REDACTED.search(match["value"])
            return match["head"] + self._digest("secret", match["value"]) if hidden else match[0]

        if wanted.names and ("=" in text or '"' in text):
            text = _QUOTED.sub(value_of, _QUERY.sub(value_of, text))
        for name in wanted.patterns:
            text = PATTERNS[name].sub(partial(self._found, name), text)
        return text

    def _found(self, name: str, match: re.Match[str]) -> str:
        return match[0] if name == "card" and not _is_card(match[0]) else self._digest(name, match[0])

    def _digest(self, label: str, text: str) -> str:
        return f"<{label}:{self._hmac(text).hex()[:_DIGITS]}>"

    def _hmac(self, text: str) -> bytes:
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()


def redacted_places(value: JsonValue, path: str = "") -> tuple[str, ...]:
    """Where a digest stands for a secret. That a UUID stands for another cannot be seen."""
    if isinstance(value, str):
        return (path,) if _REDACTED.search(value) else ()
    if isinstance(value, Mapping):
        return tuple(place for key, member in value.items() for place in redacted_places(member, f"{path}/{key}"))
    if isinstance(value, (list, tuple)):
        return tuple(place for index, member in enumerate(value) for place in redacted_places(member, f"{path}/{index}"))
    return ()


def _wanted(rules: RedactionRules) -> _Wanted:
    return _Wanted(_NAMES | _squeezed(rules.names), tuple(map(path_pattern, rules.paths)), rules.patterns)


_BY_NAME = _Wanted(_NAMES, (), ())


def _squeezed(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.translate(_SQUEEZED).lower() for name in names)


def _is_card(text: str) -> bool:
    """Whether the last digit proves the others (Luhn): what does not is an order number."""
    digits = [int(one) for one in reversed(text) if one.isdigit()]
    doubled = (sum(divmod(2 * one, 10)) for one in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
