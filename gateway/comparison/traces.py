"""Two executions' spans against each other: by the path of their ancestors, with counts.

Source: dual-run.md 4.8. A leaf is no other node than one with children (jaeger-ui#252), and what lies below a span that only one side
has is not told again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dualrun.contracts import JsonValue, Outcome, SpanRecord
from gateway.comparison.spans import canonical_name, is_effect, is_root
from gateway.core.comparison import DifferenceKind

__all__ = ["NODES_TIMED", "TRACE", "TraceSink", "compare_traces", "paired_node_times", "shape_of"]

TRACE = "/trace"
NODES_TIMED = 20
_MAX_DEPTH = 50
_N_PLUS_ONE_FACTOR = 2
_N_PLUS_ONE_MORE = 3
"""A call is N+1 where the shadow makes it at least twice as often, and at least three times more."""


class TraceSink(Protocol):
    """Takes differences between traces."""

    def add(self, kind: DifferenceKind, path: str, authority: JsonValue, shadow: JsonValue) -> None: ...


@dataclass(slots=True)
class _Node:
    count: int = 0
    failed: int = 0
    total_ms: float = 0.0
    name: str = ""
    parent: str = TRACE
    effects: list[tuple[float, float, str]] = field(default_factory=list)
    """Calls to the outside right below: start, end and name."""


@dataclass(frozen=True, slots=True)
class TraceShape:
    """One side's spans, those with the same names of their own and of their ancestors taken as one."""

    nodes: Mapping[str, _Node]
    is_complete: bool


def shape_of(outcome: Outcome) -> TraceShape | None:
    """None for an outcome that brought no spans."""
    if not outcome.spans:
        return None
    root = next((span for span in outcome.spans if is_root(span)), None)
    nodes: defaultdict[str, _Node] = defaultdict(_Node)
    nodes[TRACE] = _Node(name="", count=1)
    if root is None:
        return TraceShape(nodes, False)
    children: defaultdict[str, list[SpanRecord]] = defaultdict(list)
    for span in sorted(outcome.spans, key=lambda span: span.offset_ms):
        children[span.parent_id or ""].append(span)
    seen = {root.span_id}
    # A path, the canonical name it ends with, and the spans right below.
    todo: list[tuple[str, str, int, list[SpanRecord]]] = [(TRACE, "", 0, children[root.span_id])]
    while todo:
        path, above, depth, below = todo.pop()
        for span in below:
            if span.span_id in seen or depth > _MAX_DEPTH:
                continue
            seen.add(span.span_id)
            name = canonical_name(span)
            inner = path, above
            # A transport's span, or the same call told once more by the library below.
            if name is not None and not (name == above and is_effect(name)):
                inner = f"{path}/{name}", name
                _add(nodes, path, inner[0], name, span)
            todo.append((*inner, depth + 1, children[span.span_id]))
    # A span whose parent is not here was cut off from it, or hides others that were.
    return TraceShape(nodes, outcome.spans_dropped == 0 and len(seen) == len({span.span_id for span in outcome.spans}))


def compare_traces(authority: Outcome, shadow: Outcome, sink: TraceSink) -> None:
    """Nothing is said where neither side has spans; traces that are not complete are not compared, and said to be so."""
    ours, theirs = shape_of(authority), shape_of(shadow)
    if ours is None and theirs is None:
        return
    if ours is None or theirs is None or not (ours.is_complete and theirs.is_complete):
        sink.add(DifferenceKind.INCOMPLETE, TRACE, _state_of(ours, authority), _state_of(theirs, shadow))
        return
    for path in sorted({*ours.nodes, *theirs.nodes}):
        _compare_node(path, ours.nodes.get(path), theirs.nodes.get(path), (ours.nodes, theirs.nodes), sink)


def paired_node_times(authority: Outcome, shadow: Outcome) -> tuple[tuple[str, float, float], ...]:
    """Of each node both complete traces have, at most `NODES_TIMED`, the longest first: its path, and the milliseconds each side spent."""
    ours, theirs = shape_of(authority), shape_of(shadow)
    if ours is None or theirs is None or not (ours.is_complete and theirs.is_complete):
        return ()
    shared = [path for path in ours.nodes if path != TRACE and path in theirs.nodes]
    times = [(path, ours.nodes[path].total_ms, theirs.nodes[path].total_ms) for path in shared]
    return tuple(sorted(times, key=lambda row: -max(row[1:]))[:NODES_TIMED])


def _add(nodes: defaultdict[str, _Node], parent: str, path: str, name: str, span: SpanRecord) -> None:
    node = nodes[path]
    node.name, node.parent = name, parent
    node.count += 1
    node.failed += span.status == "error"
    node.total_ms += span.duration_ms
    if is_effect(name):
        nodes[parent].effects.append((span.offset_ms, span.offset_ms + span.duration_ms, name))


_Nodes = Mapping[str, _Node]


def _compare_node(path: str, ours: _Node | None, theirs: _Node | None, nodes: tuple[_Nodes, _Nodes], sink: TraceSink) -> None:
    if ours is None or theirs is None:
        side, other = (nodes[0], nodes[1]) if theirs is None else (nodes[1], nodes[0])
        if side[path].parent in other:
            kind = DifferenceKind.SPAN_MISSING if theirs is None else DifferenceKind.SPAN_EXTRA
            sink.add(kind, path, None if ours is None else ours.count, None if theirs is None else theirs.count)
    elif ours.count != theirs.count:
        # A child's count follows its parent's: it is told once.
        if not _follows(path, nodes):
            kind = DifferenceKind.SPAN_N_PLUS_ONE if _is_n_plus_one(ours, theirs) else DifferenceKind.SPAN_COUNT
            sink.add(kind, path, ours.count, theirs.count)
    elif ours.failed != theirs.failed:
        sink.add(DifferenceKind.SPAN_STATUS, path, _statuses(ours), _statuses(theirs))
    if ours is not None and theirs is not None:
        _compare_order(path, ours.effects, theirs.effects, sink)


def _follows(path: str, nodes: tuple[_Nodes, _Nodes]) -> bool:
    ours, theirs = nodes[0][path], nodes[1][path]
    parents = nodes[0][ours.parent].count, nodes[1][theirs.parent].count
    return parents[0] != parents[1] and ours.count * parents[1] == theirs.count * parents[0]


def _is_n_plus_one(ours: _Node, theirs: _Node) -> bool:
    return theirs.count >= _N_PLUS_ONE_FACTOR * ours.count and theirs.count - ours.count >= _N_PLUS_ONE_MORE and is_effect(theirs.name)


_Calls = Sequence[tuple[float, float, str]]


def _compare_order(path: str, ours: _Calls, theirs: _Calls, sink: TraceSink) -> None:
    """The order of calls says something only where each side waits for one before it makes the next."""
    names = [name for *_, name in ours], [name for *_, name in theirs]
    if names[0] != names[1] and Counter(names[0]) == Counter(names[1]) and _one_by_one(ours) and _one_by_one(theirs):
        sink.add(DifferenceKind.SPAN_ORDER, path, list(names[0]), list(names[1]))


def _one_by_one(calls: _Calls) -> bool:
    ended = 0.0
    for start, end, _ in calls:
        if start < ended:
            return False
        ended = end
    return True


def _statuses(node: _Node) -> str:
    return f"{node.failed} of {node.count} failed"


def _state_of(shape: TraceShape | None, outcome: Outcome) -> str:
    if shape is None:
        return "no spans"
    return "complete" if shape.is_complete else f"{len(outcome.spans)} spans, {outcome.spans_dropped} left out"
