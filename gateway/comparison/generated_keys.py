"""Keys the database gave to new rows: where two runs differ in one of the same name (`orders#1`), they did the same.

A sequence gives each run another number, and it goes wherever the task takes it: into its value, its children's arguments, addresses,
mail. Only what differs is looked at, and only where each side's number is its own key of the same name: a number both have, or one
that is no key of its run, stays as it is and is compared.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from dualrun.contracts import GeneratedKey, JsonValue, Outcome
from gateway.comparison.bounds import MAX_DEPTH, Budget, BudgetSpent

__all__ = ["with_keys_of", "with_secret_keys"]

_WORD = re.compile(r"([0-9A-Za-z]+)")
_KEY = "\0"
_DIGEST = "<secret:"
_Names = Mapping[str, frozenset[str]]


def with_keys_of(authority: Outcome, shadow: Outcome, ours: JsonValue, theirs: JsonValue) -> JsonValue:
    """The shadow's tree (`value`, `effects`) with the authority's keys in place of its own where the two differ in keys of the same name.

    It is the same object where there are none. What is too large to look at is left as it is.
    """
    if not authority.generated or not shadow.generated or not isinstance(ours, dict) or not isinstance(theirs, dict) or ours == theirs:
        return theirs
    alignment = _Alignment(_names(authority.generated), _names(shadow.generated))
    aligned = dict(theirs)
    try:
        if "value" in ours and "value" in theirs:
            aligned["value"] = alignment.of(ours["value"], theirs["value"])
        if isinstance(ours.get("effects"), list) and isinstance(theirs.get("effects"), list):
            aligned["effects"] = alignment.effects(ours["effects"], theirs["effects"])
    except (BudgetSpent, RecursionError):
        return theirs
    return aligned if alignment.found else theirs


def with_secret_keys(outcome: Outcome, secret_of: Callable[[JsonValue], JsonValue]) -> tuple[GeneratedKey, ...]:
    """Its keys, and what stands for them where they were redacted as secrets (`session_id`). Doing it twice changes nothing."""
    if not outcome.generated:
        return ()
    kept = msgspec.json.encode((outcome.value, outcome.effects)).decode()
    if _DIGEST not in kept:
        return outcome.generated
    keys = dict.fromkeys(outcome.generated)
    for key in outcome.generated:
        if key.value.isdigit():
            secrets = (str(secret_of(spelling)) for spelling in (int(key.value), key.value))
            keys.update(dict.fromkeys(GeneratedKey(name=key.name, value=secret) for secret in secrets if secret in kept))
    return tuple(keys)


def _names(keys: Iterable[GeneratedKey]) -> _Names:
    """The names of each value: rows of several tables may have the same number."""
    names: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        names[key.value].add(key.name)
        if key.value.startswith(_DIGEST):
            # In a text its digest is a word.
            names[key.value.removeprefix(_DIGEST).removesuffix(">")].add(key.name)
    return {value: frozenset(found) for value, found in names.items()}


class _Alignment:
    """Walks both trees side by side."""

    __slots__ = ("_budget", "_ours", "_theirs", "found")

    def __init__(self, ours: _Names, theirs: _Names) -> None:
        self._ours = ours
        self._theirs = theirs
        self._budget = Budget()
        self.found = False
        """True once a key was put in place of another."""

    def of(self, ours: JsonValue, theirs: JsonValue, depth: int = 0) -> JsonValue:
        """`theirs` with the keys of `ours`. Raises `BudgetSpent`."""
        self._budget.spend()
        if depth >= MAX_DEPTH:
            return theirs
        if isinstance(ours, dict) and isinstance(theirs, dict):
            return self._object(ours, theirs, depth)
        if isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
            return self._list(ours, theirs, depth)
        if isinstance(ours, str) and isinstance(theirs, str):
            return self._text(ours, theirs)
        if type(ours) is int and type(theirs) is int and ours != theirs and self._same(str(ours), str(theirs)):
            self.found = True
            return ours
        return theirs

    def effects(self, ours: Sequence[JsonValue], theirs: Sequence[JsonValue]) -> list[JsonValue]:
        """Effects belong together by kind and key, and come in order there. Raises `BudgetSpent`."""
        left, right = _by_kind_and_key(ours), _by_kind_and_key(theirs)
        aligned = list(theirs)
        for kind, slots in right.items():
            for their_key, our_key in self._keys(left[kind], slots).items():
                for place, effect in self._slot(left[kind].get(our_key, []), slots[their_key]):
                    aligned[place] = effect | {"key": our_key}
        return aligned

    def _slot(self, ours: list[_Placed], theirs: list[_Placed]) -> list[_Placed]:
        """Those that are equal are no pair for another. Of the rest, each is paired with the first it is but for keys, else in order."""
        same = Counter(repr(effect.get("payload")) for _, effect in ours) & Counter(repr(effect.get("payload")) for _, effect in theirs)
        waiting = [effect.get("payload") for _, effect in _left_over(ours, same)]
        aligned, unpaired = dict(theirs), []
        for place, effect in _left_over(theirs, same):
            payload = effect.get("payload")
            at = next((at for at, other in enumerate(waiting) if self._is_but_for_keys(other, payload)), None)
            if at is None:
                unpaired.append(place)
            else:
                aligned[place] = self._with_payload(waiting.pop(at), effect)
        for other, place in zip(waiting, unpaired, strict=False):
            aligned[place] = self._with_payload(other, aligned[place])
        return list(aligned.items())

    def _with_payload(self, ours: JsonValue, effect: dict[str, JsonValue]) -> dict[str, JsonValue]:
        return effect | {"payload": self.of(ours, effect["payload"])} if "payload" in effect else effect

    def _is_but_for_keys(self, ours: JsonValue, theirs: JsonValue) -> bool:
        found = self.found
        same = self.of(ours, theirs) == ours
        self.found = found
        return same

    def _object(self, ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue], depth: int) -> JsonValue:
        keys = dict.fromkeys(theirs) if ours.keys() == theirs.keys() else self._keys(ours, theirs)
        aligned: dict[str, JsonValue] = {}
        for key, member in theirs.items():
            other = keys[key] or key
            aligned[other] = self.of(ours[other], member, depth + 1) if other in ours else member
        return aligned

    def _list(self, ours: Sequence[JsonValue], theirs: Sequence[JsonValue], depth: int) -> JsonValue:
        if len(ours) == len(theirs):
            theirs = [self.of(one, other, depth + 1) for one, other in zip(ours, theirs, strict=True)]
        # Rows may come in another order, or one be missing: a key that stands elsewhere is still the same row's.
        mine, others = ({one for one in side if type(one) is int} for side in (ours, theirs))
        by_name = {name: one for one in mine - others for name in self._ours.get(str(one), ())}
        if not by_name:
            return theirs
        aligned = list(theirs)
        for place, other in enumerate(theirs):
            if type(other) is int and other not in mine:
                one = next((by_name[name] for name in self._theirs.get(str(other), ()) if name in by_name), None)
                if one is not None:
                    aligned[place], self.found = one, True
        return aligned

    def _keys(self, ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
        """For each of their keys the one of ours that it stands for, itself if none."""
        mine, others = dict.fromkeys(ours), dict.fromkeys(theirs)
        free: dict[str, list[str]] = defaultdict(list)
        for key in mine:
            if key not in others:
                free[self._skeleton(key, self._ours)].append(key)
        keys = {}
        for key in others:
            keys[key] = key
            for candidate in free.get(self._skeleton(key, self._theirs), ()) if key not in mine else ():
                self._budget.spend()
                if self._aligned(candidate, key) == candidate:
                    keys[key] = candidate
                    free[self._skeleton(candidate, self._ours)].remove(candidate)
                    self.found = True
                    break
        return keys

    def _skeleton(self, text: str, names: _Names) -> str:
        self._budget.spend()
        return _WORD.sub(lambda word: _KEY if word[0] in names else word[0], text)

    def _text(self, ours: str, theirs: str) -> str:
        if ours == theirs:
            return theirs
        aligned = self._aligned(ours, theirs)
        self.found = self.found or aligned != theirs
        return aligned

    def _aligned(self, ours: str, theirs: str) -> str:
        """The text with those words of ours it differs in that are keys of the same name."""
        if self._same(ours, theirs):
            return ours
        left, right = _WORD.split(ours), _WORD.split(theirs)
        self._budget.spend(len(right))
        if len(left) != len(right):
            return theirs
        return "".join(one if one != other and self._same(one, other) else other for one, other in zip(left, right, strict=True))

    def _same(self, ours: str, theirs: str) -> bool:
        return not self._ours.get(ours, frozenset()).isdisjoint(self._theirs.get(theirs, ()))


_Placed = tuple[int, dict[str, JsonValue]]


def _by_kind_and_key(effects: Sequence[JsonValue]) -> dict[str, dict[str, list[_Placed]]]:
    slots: dict[str, dict[str, list[_Placed]]] = defaultdict(dict)
    for place, effect in enumerate(effects):
        if isinstance(effect, dict):
            slots[str(effect["kind"])].setdefault(str(effect["key"]), []).append((place, effect))
    return slots


def _left_over(effects: list[_Placed], same: Counter[str]) -> list[_Placed]:
    left = Counter(same)
    over = []
    for place, effect in effects:
        form = repr(effect.get("payload"))
        if left[form] > 0:
            left[form] -= 1
        else:
            over.append((place, effect))
    return over
