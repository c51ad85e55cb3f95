"""Which safety class fits a task, from what its authority did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dualrun.contracts import Effect, EffectKind, Outcome, Safety

__all__ = ["fitting_class"]

_CAPTURED = frozenset(
    {
        EffectKind.CACHE,
        EffectKind.EMAIL,
        EffectKind.FILE,
        EffectKind.HTTP,
        EffectKind.MESSAGE,
        EffectKind.OBJECT,
        EffectKind.SQL,
        "task",
    }
)
_ASKING = ("GET ", "HEAD ", "OPTIONS ")
# What is the same done twice, by the first word of the key. An UPDATE may add to what it finds, and an INSERT does.
_REPEATABLE: Mapping[str, frozenset[str]] = {
    EffectKind.CACHE: frozenset({"DEL", "EXPIRE", "HDEL", "HSET", "SADD", "SET", "SREM", "UNLINK"}),
    EffectKind.HTTP: frozenset({"DELETE", "PUT"}),
    EffectKind.OBJECT: frozenset({"DELETE", "PUT"}),
    EffectKind.SQL: frozenset({"DELETE"}),
}


def fitting_class(outcomes: Sequence[Outcome]) -> tuple[Safety, str]:
    """The class, and why. It rests on what captures see: a driver that connects in C leaves no trace (docs/safety.md)."""
    if not outcomes:
        return Safety.UNSAFE, "nothing was observed"
    if any(outcome.effects_dropped for outcome in outcomes):
        return Safety.UNSAFE, "not all of its effects could be kept"
    places = sorted({place for outcome in outcomes for place in outcome.connections_uncaptured})
    if places:
        return Safety.UNSAFE, f"no capture knows what it does at {', '.join(places[:3])}, and a shadow would be refused to go there"
    effects = [effect for outcome in outcomes for effect in outcome.effects]
    writes = [effect for effect in effects if not (effect.kind == EffectKind.HTTP and effect.key.startswith(_ASKING))]
    if not writes:
        seen = f"no write to the outside was captured in {len(outcomes)} runs, and no connection past the captures was seen"
        return Safety.PURE, f"{seen}; what drivers in C do is not"
    own = sorted({effect.kind for effect in writes if not _is_captured(effect)})
    if own:
        return Safety.SANDBOXED, f"all its effects are told; those of kind {', '.join(own)} only where effect() is asked before each"
    kinds = ", ".join(sorted({effect.kind for effect in writes}))
    if all(effect.key.partition(" ")[0] in _REPEATABLE.get(effect.kind, ()) for effect in writes):
        return (
            Safety.IDEMPOTENT,
            f"its effects ({kinds}) are all of a form that is the same done twice; sandboxed fits too, with control runs",
        )
    return Safety.SANDBOXED, f"its effects ({kinds}) are captured and can be held back"


def _is_captured(effect: Effect) -> bool:
    """Calls to AWS are of the service's kind, and their key ends with its name: `SendMessage sqs`."""
    return effect.kind in _CAPTURED or effect.key.partition(" ")[2] == effect.kind
