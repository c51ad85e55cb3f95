"""The same secrets in other places: what is known of a record's or a pair's secrets is looked for in all of its texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from dualrun.contracts import Effect, JsonValue
from gateway.comparison.bounds import MAX_DEPTH
from gateway.comparison.marks import MIN_UUID_CHARS, Uuid, marks_in, matches_in
from gateway.comparison.paths import segment_of
from gateway.comparison.stand_ins import STAND_IN, StandIns, holds_stand_in_id, is_any_number, is_stand_in

__all__ = ["KnownSecrets", "is_plain_name", "secrets_hidden_elsewhere"]

MIN_SECRET_CHARS = 8
"""A shorter one is hidden where its name stands, and nowhere else: `1234` is in too many texts that mean something else."""
_MAX_SECRETS = 200
"""Looked for in one record: the bound on what a hostile one costs."""
_SCHEMES = frozenset({"bearer", "basic", "token", "digest"})
# A word ends where a text, a sentence or an address does.
_WORDS = tuple(
    re.compile(pattern + f"{{{MIN_SECRET_CHARS},}}") for pattern in (r"[^\n]", r"[^\s\"'<>(){},;|]", r"[^\s\"'<>(){},;|/?&=:#@]", r"[\w-]")
)


Parts = tuple[JsonValue, ...]
"""Of one side: its value, its effects."""


@dataclass(slots=True)
class KnownSecrets:
    """Secrets, and what stands for them."""

    stand_ins: StandIns
    run_us: int = 0
    """When the run of their record started."""
    texts: dict[str, str] = field(default_factory=dict)
    ids: set[Uuid] = field(default_factory=set)

    def hide(self, secret: str, label: str = "secret") -> str:
        """What stands for the secret, which is known from now on."""
        stand_in = self.stand_ins.of_text(secret, label, run_us=self.run_us)
        if stand_in != secret and len(secret) >= MIN_SECRET_CHARS and len(self.texts) < _MAX_SECRETS:
            self._note(secret, label)
        return stand_in

    def _note(self, secret: str, label: str) -> None:
        """Of a secret with ids or times in it, the ids and what stands between: where it is no secret by name, the ids must stay ids."""
        scheme, _, rest = secret.partition(" ")
        if rest and scheme.lower() in _SCHEMES:
            self.hide(rest, label)
        end, has_marks = 0, False
        for match, mark in matches_in(secret):
            if is_any_number(mark, self.run_us):
                continue
            has_marks = True
            if isinstance(mark, Uuid):
                self.ids.add(mark)
            self._note_words(secret[end : match.start()], label)
            end = match.end()
        if has_marks:
            self._note_words(secret[end:], label)
        else:
            self.texts[secret] = self.stand_ins.of_text(secret, label, run_us=self.run_us)

    def _note_words(self, piece: str, label: str) -> None:
        for word in _WORDS[-1].findall(piece):
            self.texts[word] = self.stand_ins.of_text(word, label)

    def __bool__(self) -> bool:
        return bool(self.texts or self.ids)

    def are_in(self, record: object) -> bool:
        """Whether any of them is still in a record, looked for in all of it at once."""
        text = msgspec.json.encode(record).decode()
        if any(secret in text or msgspec.json.encode(secret)[1:-1].decode() in text for secret in self.texts):
            return True
        lower = text.lower()
        return any(one.digits[:8].lower() in lower for one in self.ids)

    def hidden_in(self, value: JsonValue, depth: int = 0) -> JsonValue:
        """The value with what stands for them in their place."""
        if isinstance(value, str):
            return self.hidden_in_text(value)
        if depth >= MAX_DEPTH:
            return value
        if isinstance(value, dict):
            return {self._hidden_in_key(key): self.hidden_in(member, depth + 1) for key, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hidden_in(item, depth + 1) for item in value]
        return value

    def hidden_in_effects(self, effects: Sequence[Effect]) -> tuple[Effect, ...]:
        return tuple(msgspec.structs.replace(one, key=self.hidden_in_text(one.key), payload=self.hidden_in(one.payload)) for one in effects)

    def hidden_in_text(self, text: str) -> str:
        if len(text) < MIN_SECRET_CHARS:
            return text
        for secret in sorted(self.texts, key=len, reverse=True):
            if secret in text:
                pieces = STAND_IN.split(text)
                pieces[::2] = [piece.replace(secret, self.texts[secret]) for piece in pieces[::2]]
                text = "".join(pieces)
        return self._without_ids(text) if self.ids and len(text) >= MIN_UUID_CHARS else text

    def _hidden_in_key(self, key: str) -> str:
        return key if is_plain_name(key) else self.hidden_in_text(key)

    def _without_ids(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for match, mark in matches_in(text):
            if isinstance(mark, Uuid) and mark in self.ids:
                parts += (text[end : match.start()], self.stand_ins.of_id(match[0], mark))
                end = match.end()
        return "".join((*parts, text[end:])) if parts else text


def secrets_hidden_elsewhere(stand_ins: StandIns, sides: tuple[Parts, Parts], given: JsonValue = None) -> KnownSecrets:
    """What one side, or one part of it, shows as it is and another one hides; `sides` are parts of records as they are kept.

    An id is found wherever it stands, any other secret where it is a word of its own.
    """
    known = KnownSecrets(stand_ins)
    ours, theirs = (["\n".join(_texts(part)) for part in side] for side in sides)
    called_with = "\n".join(_texts(given))
    texts = (*ours, *theirs, called_with)
    if any(map(holds_stand_in_id, texts)):
        ids = {mark for mark in marks_in("\n".join(texts)) if isinstance(mark, Uuid)}
        hidden = {one.digits for one in ids if is_stand_in(one)}
        known.ids.update(one for one in ids if not is_stand_in(one) and stand_ins.digits_of(one) in hidden)
    if any("<secret:" in text for text in texts):
        # One with an id in it is no secret as a whole where it is shown: see `KnownSecrets`.
        found = {one for one in _unlike(lambda text: set(STAND_IN.findall(text)), ours, theirs) if not holds_stand_in_id(one)}
        for word in _unlike(_words, ours, theirs) if found else ():
            stand_in = stand_ins.of_text(word)
            if stand_in in found and stand_in != word:
                known.texts[word] = stand_in
    return known


def _unlike(read: Callable[[str], set[str]], ours: Sequence[str], theirs: Sequence[str]) -> set[str]:
    """What is read in a part of one side and not in the same part of the other."""
    return set().union(*(read(left) ^ read(right) for left, right in zip(ours, theirs, strict=True)))


def is_plain_name(key: str) -> bool:
    """Whether a key of an object is the name of a field: a secret seldom is one, and `password` is a bad one."""
    return segment_of(key) == key and not any(map(str.isdigit, key))


def _words(text: str) -> set[str]:
    return {word for pattern in _WORDS for word in pattern.findall(text)}


def _texts(value: JsonValue) -> Iterator[str]:
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            if len(one) >= MIN_SECRET_CHARS:
                yield one
        elif isinstance(one, dict):
            yield from one
            todo.extend(one.values())
        elif isinstance(one, (list, tuple)):
            todo.extend(one)
