"""What two runs did to the outside, as multisets: which effect is missing, extra, changed, or in another order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from dualrun.contracts import Effect, JsonValue
from gateway.comparison.diff import Diff, encoded_alike
from gateway.comparison.paths import effect_path
from gateway.core.comparison import DifferenceKind

__all__ = ["Concurrent", "EffectSink", "compare_effects", "effect_node"]


class EffectSink(Protocol):
    """Takes differences between effects."""

    changed: bool
    """While true, what is found lies inside the payload of an effect both sides had."""

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> None: ...

    def orders(self) -> Iterable[tuple[str, Callable[[str], bool]]]:
        """Patterns of paths of effects whose order among one another matters, each with the question whether it covers a path."""
        ...


def effect_node(effect: Effect) -> dict[str, JsonValue]:
    """An effect as the JSON that is compared. Whether it was performed is what tells the roles apart, so it is not in it."""
    node: dict[str, JsonValue] = {"kind": effect.kind, "key": effect.key}
    if effect.payload is not None:
        node["payload"] = effect.payload
    if effect.error is not None:
        node["error"] = effect.error
    return node


Concurrent: TypeAlias = tuple[Collection[int], Collection[int]]
"""Of authority and shadow, the places of effects that were not made one after the other."""
_Slot = tuple[str, str]
_Numbered = tuple[int, Mapping[str, JsonValue]]


def compare_effects(
    ours: Sequence[JsonValue],
    theirs: Sequence[JsonValue],
    diff: Diff,
    sink: EffectSink,
    concurrent: Concurrent = (frozenset(), frozenset()),
) -> None:
    """Compare canonical effects. Raises `BudgetSpent`.

    Effects with the same kind and key belong together, and come in order where each side made them one after the other; `concurrent` says
    of each side which it did not, by their places. The order of effects with different keys says nothing, since a concurrent handler may
    do them in any, unless a rule says that it matters.
    """
    if encoded_alike(ours, theirs):
        return
    _compare_order(ours, theirs, sink)
    left, right = _by_slot(ours, diff), _by_slot(theirs, diff)
    unsequenced = {_slot_of(side[n]) for side, places in zip((ours, theirs), concurrent, strict=True) for n in places}
    for slot in dict.fromkeys([*left, *right]):
        _compare_slot(slot, left.get(slot, []), right.get(slot, []), diff, sink, has_order=slot not in unsequenced)


def _compare_order(ours: Sequence[JsonValue], theirs: Sequence[JsonValue], sink: EffectSink) -> None:
    """Where a rule says that the order matters across keys: the effects it covers, as one sequence."""
    for pattern, covers in sink.orders():
        left, right = ([path for path in map(_path_of, effects) if covers(path)] for effects in (ours, theirs))
        if left != right and Counter(left) == Counter(right):
            sink.add(DifferenceKind.ORDER, pattern, list(left), list(right))


def _path_of(effect: JsonValue) -> str:
    return effect_path(str(effect["kind"]), str(effect["key"])) if isinstance(effect, dict) else ""


def _by_slot(effects: Sequence[JsonValue], diff: Diff) -> dict[_Slot, list[_Numbered]]:
    slots: dict[_Slot, list[_Numbered]] = defaultdict(list)
    for effect in effects:
        if isinstance(effect, dict):
            slots[_slot_of(effect)].append((diff.form_of(effect), effect))
    return slots


def _slot_of(effect: JsonValue) -> _Slot:
    return (str(effect["kind"]), str(effect["key"])) if isinstance(effect, dict) else ("", "")


def _compare_slot(slot: _Slot, ours: list[_Numbered], theirs: list[_Numbered], diff: Diff, sink: EffectSink, *, has_order: bool) -> None:
    forms = [form for form, _ in ours], [form for form, _ in theirs]
    if forms[0] == forms[1]:
        return
    path = effect_path(*slot)
    counts = Counter(forms[0]), Counter(forms[1])
    if counts[0] == counts[1]:
        if has_order:
            sink.add(DifferenceKind.ORDER, path, [effect for _, effect in ours], [effect for _, effect in theirs])
        return
    missing, extra = _left_over(ours, counts[1]), _left_over(theirs, counts[0])
    sink.changed = True
    for one, other in zip(missing, extra, strict=False):
        _compare_content(path, one, other, diff)
    sink.changed = False
    for effect in missing[len(extra) :]:
        sink.add(DifferenceKind.EFFECT_MISSING, path, effect, None)
    for effect in extra[len(missing) :]:
        sink.add(DifferenceKind.EFFECT_EXTRA, path, None, effect)


def _compare_content(path: str, ours: Mapping[str, JsonValue], theirs: Mapping[str, JsonValue], diff: Diff) -> None:
    diff.values(ours.get("payload"), theirs.get("payload"), path)
    if ours.get("error") != theirs.get("error"):
        diff.values(ours.get("error"), theirs.get("error"), f"{path}/error")


def _left_over(effects: list[_Numbered], others: Counter[int]) -> list[Mapping[str, JsonValue]]:
    left = Counter(others)
    over = []
    for form, effect in effects:
        if left[form] > 0:
            left[form] -= 1
        else:
            over.append(effect)
    return over
