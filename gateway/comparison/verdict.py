"""Two outcomes in, a verdict and typed differences out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from dualrun.contracts import JsonValue, Outcome, Side, State
from gateway.comparison.bounds import Budget, BudgetSpent
from gateway.comparison.canonical import Likeness, Run, canonicalise, likeness
from gateway.comparison.diff import Diff, encoded_alike
from gateway.comparison.effects import Concurrent, compare_effects, effect_node
from gateway.comparison.findings import EFFECTS, MAX_DIFFERENCES, Findings
from gateway.comparison.generated_keys import with_keys_of
from gateway.comparison.rules import NO_RULES, TaskRules
from gateway.comparison.schedule import compare_schedules, same_schedule
from gateway.comparison.traces import compare_traces
from gateway.core.comparison import Aspect, Difference, DifferenceKind, Verdict

__all__ = ["MAX_DIFFERENCES", "compare_outcomes"]

_SUCCEEDED = State.SUCCEEDED


def compare_outcomes(
    authority: Outcome, shadow: Outcome, rules: TaskRules = NO_RULES, *, given: JsonValue = None, eta: datetime | None = None
) -> tuple[Verdict, tuple[Difference, ...]]:
    """The worst class of difference, and the differences.

    Where somebody cancelled it and a side gave it up, nothing is compared. Compared are states and error kinds, values where both
    succeeded, effects, attempts and their schedule (`eta`: not to start before), and traces.

    `given` is what the submission was called with (its args and kwargs): an id or time from there is no invention of the run, so a
    side that has another one in its place differs. Samples in the differences are canonical: an id both sides made up is a
    placeholder in them, and of a key the database gave to a row the authority's is shown. Never raises on any JSON; what lies beyond
    the bounds gives a `truncated` difference.
    Source of the order of verdicts: Scientist and Diffy, dual-run.md 4.4.
    """
    if State.REVOKED in (authority.state, shadow.state):
        return Verdict.CANCELLED, ()
    ours, as_told = _tree(authority, shadow), _tree(shadow, authority)
    theirs = with_keys_of(authority, shadow, ours, as_told)
    renamed = theirs is not as_told
    runs = Run(authority.started_at, authority.ended_at), Run(shadow.started_at, shadow.ended_at)
    beside = _beside(authority, shadow, eta)
    if not beside and _states_agree(authority, shadow, rules):
        if encoded_alike(ours, theirs):
            return (Verdict.EQUAL_AFTER_NORMALISE if renamed else Verdict.EQUAL), ()
        quick = _quick_verdict(ours, theirs, runs, given)
        if quick is not None:
            return (Verdict.EQUAL_AFTER_NORMALISE if renamed else quick), ()
    today = max(authority.ended_at, shadow.ended_at).astimezone(UTC).date()
    unknown = _unknown_end(authority, shadow, Findings(rules, today), rules)
    if unknown is not None:
        return unknown
    literal = Findings(rules, today)
    _compare_all(authority, shadow, (ours, theirs), rules, literal)
    _tell(beside, literal)
    if literal.is_settled:
        return _judged(literal, renamed)
    try:
        canonical = canonicalise(ours, theirs, runs, given)
    except (BudgetSpent, RecursionError):
        return _judged(literal, renamed)
    findings = Findings(rules, today)
    _compare_all(authority, shadow, canonical, rules, findings)
    _tell(beside, findings)
    return _judged(findings, True)


def _unknown_end(
    authority: Outcome, shadow: Outcome, findings: Findings, rules: TaskRules
) -> tuple[Verdict, tuple[Difference, ...]] | None:
    """A shadow whose calls were answered by nothing may end in another way for that alone, and all else follows from how it ended."""
    if not shadow.calls_unanswered:
        return None
    _compare_states(authority, shadow, rules, findings)
    if not findings or findings.verdict() is not Verdict.DIFFERENT_STATE:
        return None
    note = f"{_ending(shadow)}, after {shadow.calls_unanswered} calls without the authority's answers"
    ends = Difference(aspect=Aspect.STATE, kind=DifferenceKind.INCOMPLETE, path="/state", authority=_ending(authority), shadow=note)
    return Verdict.INCOMPLETE, (ends,)


def _ending(outcome: Outcome) -> str:
    return " ".join(filter(None, (outcome.state.value, _error_kind(outcome))))


class _Beside(list[tuple[Aspect, DifferenceKind, str, JsonValue, JsonValue]]):
    """What differs beside states, values and effects: found once, since made-up ids and times have no part in it."""

    aspect = Aspect.SCHEDULE

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> None:
        self.append((self.aspect, kind, path, authority, shadow))


def _beside(authority: Outcome, shadow: Outcome, eta: datetime | None) -> _Beside:
    beside = _Beside()
    if eta is not None or not same_schedule(authority, shadow):
        compare_schedules(authority, shadow, eta, beside)
    beside.aspect = Aspect.TRACE
    compare_traces(authority, shadow, beside)
    return beside


def _tell(beside: _Beside, findings: Findings) -> None:
    for aspect, kind, path, ours, theirs in beside:
        findings.aspect = aspect
        findings.add(kind, path, ours, theirs)


_QUICK = {Likeness.SAME: Verdict.EQUAL, Likeness.RENAMED: Verdict.EQUAL_AFTER_NORMALISE, Likeness.UNKNOWN: None}


def _quick_verdict(ours: JsonValue, theirs: JsonValue, runs: tuple[Run, Run], given: JsonValue) -> Verdict | None:
    try:
        return _QUICK[likeness(ours, theirs, runs, given)]
    except (BudgetSpent, RecursionError):
        return None


def _judged(findings: Findings, normalised: bool) -> tuple[Verdict, tuple[Difference, ...]]:
    if findings:
        return findings.verdict(), findings.differences()
    return (Verdict.EQUAL_AFTER_NORMALISE if normalised else Verdict.EQUAL), ()


def _compare_all(authority: Outcome, shadow: Outcome, trees: tuple[JsonValue, JsonValue], rules: TaskRules, findings: Findings) -> None:
    _compare_states(authority, shadow, rules, findings)
    _compare_trees(*trees, (_concurrent(authority), _concurrent(shadow)), findings)
    _note_dropped(authority, shadow, findings)


_Tree = Mapping[str, JsonValue]


def _tree(outcome: Outcome, other: Outcome) -> _Tree:
    """What is compared of an outcome beside its state, as one JSON value, so that ids are recognised across value and effects."""
    tree: dict[str, JsonValue] = {}
    if outcome.state is _SUCCEEDED and other.state is _SUCCEEDED and outcome.value is not None:
        tree["value"] = outcome.value
    if outcome.effects:
        tree["effects"] = [effect_node(effect) for effect in outcome.effects]
    return tree


def _states_agree(authority: Outcome, shadow: Outcome, rules: TaskRules) -> bool:
    return (
        authority.state is shadow.state
        and _error_kind(authority) == _error_kind(shadow)
        and not (rules.error_messages and authority.failure)
        and not authority.effects_dropped
        and not shadow.effects_dropped
    )


_Word = TypeVar("_Word", str, str | None)


def _compare_states(authority: Outcome, shadow: Outcome, rules: TaskRules, findings: Findings) -> None:
    """States, and error kinds. What a rule says means the same is told as hidden by it."""
    findings.aspect = Aspect.STATE
    if authority.state is not shadow.state:
        states = authority.state.value, shadow.state.value
        rule = findings.synonym(rules.states, *_by_side(authority, *states))
        # A run of one side against itself has no other words.
        rule = None if authority.side is shadow.side else rule
        findings.add(DifferenceKind.STATE, "/state", *states, allowed_by=rule)
        if rule is None:
            return
    findings.aspect = Aspect.ERROR
    kinds = _error_kind(authority), _error_kind(shadow)
    if kinds[0] != kinds[1]:
        rule = None if authority.side is shadow.side else findings.synonym(rules.errors, *_by_side(authority, *kinds))
        findings.add(DifferenceKind.ERROR, "/error", *kinds, allowed_by=rule)
    elif rules.error_messages and _error_message(authority) != _error_message(shadow):
        findings.add(DifferenceKind.ERROR, "/error/message", _error_message(authority), _error_message(shadow))


def _by_side(authority: Outcome, ours: _Word, theirs: _Word) -> tuple[_Word, _Word]:
    """Legacy's, then that of events."""
    return (ours, theirs) if authority.side is Side.LEGACY else (theirs, ours)


def _error_kind(outcome: Outcome) -> str | None:
    return outcome.failure.kind if outcome.failure is not None else None


def _error_message(outcome: Outcome) -> str:
    return outcome.failure.message if outcome.failure is not None else ""


def _concurrent(outcome: Outcome) -> list[int]:
    return [place for place, effect in enumerate(outcome.effects) if effect.concurrent]


def _compare_trees(ours: JsonValue, theirs: JsonValue, concurrent: Concurrent, findings: Findings) -> None:
    diff = Diff(findings, Budget())
    try:
        assert isinstance(ours, dict)
        assert isinstance(theirs, dict)
        findings.aspect = Aspect.VALUE
        diff.values(ours.get("value"), theirs.get("value"), "/value")
        findings.aspect, diff.at = Aspect.EFFECTS, EFFECTS
        compare_effects(ours.get("effects", ()), theirs.get("effects", ()), diff, findings, concurrent)
    except (BudgetSpent, RecursionError):
        findings.changed = False
        findings.add(DifferenceKind.TRUNCATED, diff.at, None, None)


def _note_dropped(authority: Outcome, shadow: Outcome, findings: Findings) -> None:
    """Effects a side did not keep are not known to be equal, and where both kept none of as many not to differ either."""
    dropped = authority.effects_dropped, shadow.effects_dropped
    if any(dropped):
        findings.aspect = Aspect.EFFECTS
        findings.add(DifferenceKind.INCOMPLETE if dropped[0] == dropped[1] else DifferenceKind.TRUNCATED, EFFECTS, *dropped)
