"""What must not be kept, replaced by what still compares: a redacted pair gets the verdict its originals would have got.

A record is read for the places where a secret stands by name, path or pattern, and, where there are any, for the same secrets in other
places: a token in the link that was mailed. The two records of a pair do not know of one another's secrets, so they are brought to one
form before they are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from dualrun.contracts import Effect, EffectKind, JsonObject, JsonValue, Outcome, Role, SpanRecord, SubmissionRecord
from gateway.comparison.bounds import MAX_DEPTH, Budget
from gateway.comparison.canonical import unwrap
from gateway.comparison.effects import effect_node
from gateway.comparison.generated_keys import with_secret_keys
from gateway.comparison.known_secrets import KnownSecrets, is_plain_name, secrets_hidden_elsewhere
from gateway.comparison.marks import microseconds
from gateway.comparison.paths import MEMBER, effect_path
from gateway.comparison.rules import TaskRules
from gateway.comparison.secret_places import BY_NAME, PATTERNS, Wanted, wanted_by
from gateway.comparison.stand_ins import StandIns, redacted_places
from gateway.core.comparison import Difference

__all__ = ["PATTERNS", "Redactor", "redacted_places"]

_SQL_TEXTS = frozenset({"where", "statement", "sql"})
_SQL_PATH = f"/effects/{EffectKind.SQL}/"
_REDIS_PATH = f"/effects/{EffectKind.CACHE}/"


class Redactor:
    """Redacts records before they are stored, and differences before they are shown. Doing it twice changes nothing."""

    def __init__(self, key: str) -> None:
        self._stand_ins = StandIns(key)

    def outcome(self, outcome: Outcome, rules: TaskRules) -> Outcome:
        """Everything by name, path and pattern; but the authority's value by what the rules name alone: its caller reads it back."""
        run_us = microseconds(outcome.started_at)
        reading = self._reading(wanted_by(rules.redaction), run_us)
        value = reading.value(outcome.value, "/value")
        is_read_back = outcome.role is Role.AUTHORITY and not rules.redaction.values
        if is_read_back:
            value = self._reading(wanted_by(rules.redaction, by_rules_alone=True), run_us).value(outcome.value, "/value")
        failure = outcome.failure
        if failure is not None:
            traceback = None if failure.traceback is None else reading.text(failure.traceback)
            failure = msgspec.structs.replace(failure, message=reading.text(failure.message), traceback=traceback)
        effects, spans = tuple(map(reading.effect, outcome.effects)), tuple(map(reading.span, outcome.spans))
        known = reading.known
        if known and known.are_in((effects, spans, failure, None if is_read_back else value)):
            value = value if is_read_back else known.hidden_in(value)
            effects = known.hidden_in_effects(effects)
            spans = tuple(
                msgspec.structs.replace(one, name=known.hidden_in_text(one.name), attributes=known.hidden_in(one.attributes))
                for one in spans
            )
            if failure is not None:
                traceback = None if failure.traceback is None else known.hidden_in_text(failure.traceback)
                failure = msgspec.structs.replace(failure, message=known.hidden_in_text(failure.message), traceback=traceback)
        return self._told(msgspec.structs.replace(outcome, value=value, failure=failure, effects=effects, spans=spans))

    def comparable(
        self, authority: Outcome, shadow: Outcome, rules: TaskRules, given: JsonValue = None
    ) -> tuple[Outcome, Outcome, JsonValue]:
        """Both, and what they were called with, with the same secrets hidden in all of them.

        The values become what the shadow's is kept as, so that what was kept of one is not held against what was not of the other.
        """
        values = [authority.value, shadow.value]
        if values[0] != values[1]:
            values = [self._whole(one, wanted_by(rules.redaction)) for one in (authority, shadow)]
        sides: list[tuple[Outcome, JsonValue]] = [(authority, values[0]), (shadow, values[1])]
        ours, theirs = ((value, list(map(effect_node, outcome.effects))) for outcome, value in sides)
        known = secrets_hidden_elsewhere(self._stand_ins, (ours, theirs), given)
        if known:
            given = known.hidden_in(given)
            sides = [
                (msgspec.structs.replace(outcome, effects=known.hidden_in_effects(outcome.effects)), known.hidden_in(value))
                for outcome, value in sides
            ]
        first, second = (one if one.value is value else self._told(msgspec.structs.replace(one, value=value)) for one, value in sides)
        return first, second, given

    def shown(self, outcome: Outcome) -> Outcome:
        """An outcome on record as people see it who are not its caller: the value without what is a secret by its name or an effect's."""
        value, effects = self._whole(outcome, BY_NAME), list(map(effect_node, outcome.effects))
        known = secrets_hidden_elsewhere(self._stand_ins, ((value, effects), (None, None)))
        return msgspec.structs.replace(outcome, value=known.hidden_in(value) if known else value)

    def submission(self, record: SubmissionRecord, rules: TaskRules) -> SubmissionRecord:
        """Args and kwargs, by name, path and pattern."""
        submission, wanted = record.submission, wanted_by(rules.redaction)
        reading = self._reading(wanted, microseconds(submission.submitted_at))
        args, kwargs = reading.value(submission.args, "/args"), reading.value(submission.kwargs, "/kwargs")
        if reading.known:
            args, kwargs = reading.known.hidden_in(args), reading.known.hidden_in(kwargs)
        assert isinstance(args, (list, tuple))
        assert isinstance(kwargs, dict)
        return msgspec.structs.replace(record, submission=msgspec.structs.replace(submission, args=tuple(args), kwargs=kwargs))

    def difference(self, difference: Difference, rules: TaskRules) -> Difference:
        """Both samples, the value's by name too."""
        reading, name = self._reading(wanted_by(rules.redaction)), difference.path.rpartition("/")[2]
        samples = (reading.member(sample, difference.path, name, 0) for sample in (difference.authority, difference.shadow))
        authority, shadow = samples
        return replace(difference, authority=authority, shadow=shadow)

    def _told(self, outcome: Outcome) -> Outcome:
        """With what stands in it for keys the database gave, so that they are still recognised."""
        return msgspec.structs.replace(outcome, generated=with_secret_keys(outcome, self._key_of)) if outcome.generated else outcome

    def _key_of(self, key: JsonValue) -> JsonValue:
        return self._stand_ins.of_text(key) if isinstance(key, str) else self._stand_ins.of_value(int(str(key)))

    def _whole(self, outcome: Outcome, wanted: Wanted) -> JsonValue:
        """The value without what has the name of a secret, there and elsewhere in it."""
        reading = self._reading(wanted, microseconds(outcome.started_at))
        redacted = reading.value(outcome.value, "/value")
        return reading.known.hidden_in(redacted) if reading.known else redacted

    def _reading(self, wanted: Wanted, run_us: int = 0) -> _Reading:
        return _Reading(wanted, KnownSecrets(self._stand_ins, run_us))


@dataclass(frozen=True, slots=True)
class _Reading:
    """Reads one record, and learns its secrets from it."""

    wanted: Wanted
    known: KnownSecrets

    def effect(self, effect: Effect) -> Effect:
        key = self.wanted.in_sql_key(effect.key, self.known.hide) if effect.kind == EffectKind.SQL else effect.key
        payload = effect.payload
        if payload is not None:
            payload = self.value(payload, effect_path(effect.kind, effect.key))
        return msgspec.structs.replace(effect, key=self.text(key), payload=payload)

    def span(self, span: SpanRecord) -> SpanRecord:
        attributes: JsonObject = {name: self._attribute(name, value) for name, value in span.attributes.items()}
        return msgspec.structs.replace(span, name=self.text(self.wanted.in_sql(span.name, self.known.hide)), attributes=attributes)

    def _attribute(self, name: str, value: JsonValue) -> JsonValue:
        hidden = self.wanted.in_span(name, value, self.known.hide) if isinstance(value, str) else None
        return self.member(value if hidden is None else hidden, f"/trace/{name}", name, 0)

    def text(self, text: str) -> str:
        return self.wanted.in_text(text, self.known.hide)

    def value(self, value: JsonValue, path: str, depth: int = 0) -> JsonValue:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            if depth >= MAX_DEPTH:
                return self.known.hide(repr(value))
            return {key: self.member(member, f"{path}/{key}", key, depth + 1) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            if depth >= MAX_DEPTH:
                return self.known.hide(repr(value))
            items = [self.member(item, f"{path}/{MEMBER}", "", depth + 1) for item in value]
            return self._paired(value, items) if path.startswith(_REDIS_PATH) and path.endswith("/arguments") else items
        return value

    def member(self, value: JsonValue, path: str, name: str, depth: int) -> JsonValue:
        if value is not None and value != "" and self.wanted.hides(path, name):
            return self._secret(value, depth)
        if name in _SQL_TEXTS and isinstance(value, str) and path.startswith(_SQL_PATH):
            return self.text(self.wanted.in_sql(value, self.known.hide))
        return self.value(value, path, depth)

    def _paired(self, read: JsonValue, items: list[JsonValue]) -> list[JsonValue]:
        """Names and values in turn, as HSET takes them."""
        assert isinstance(read, (list, tuple))
        for at in range(0, len(read) - 1, 2):
            name = read[at]
            if isinstance(name, str) and self.wanted.names_one(name):
                items[at + 1] = self._secret(read[at + 1], 0)
        return items

    def _secret(self, value: JsonValue, depth: int) -> JsonValue:
        """What stands for a secret; of an object or a list, for each of its members, so that ids in them stay ids."""
        if value is None or value == "":
            return value
        if isinstance(value, str):
            return self.known.hide(value)
        if isinstance(value, (bool, int, float)):
            self.known.hide(str(value))
            return self.known.stand_ins.of_value(value, run_us=self.known.run_us)
        if depth >= MAX_DEPTH:
            return self.known.hide(repr(value))
        if isinstance(value, Mapping):
            if value.keys() == _TYPED:
                return {"__type__": value["__type__"], "__value__": self._secret(_plain(value), depth + 1)}
            return {key if is_plain_name(key) else self.known.hide(key): self._secret(one, depth + 1) for key, one in value.items()}
        return [self._secret(item, depth + 1) for item in value]


_TYPED = frozenset({"__type__", "__value__"})


def _plain(typed: Mapping[str, JsonValue]) -> JsonValue:
    """What one of kombu's typed objects stands for, where that is a text."""
    inner = typed["__value__"]
    is_small = isinstance(inner, str) or (isinstance(inner, dict) and isinstance(inner.get("hex"), str) and len(inner) <= 2)
    return unwrap(dict(typed), Budget()) if is_small else inner
