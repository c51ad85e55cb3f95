"""Where the time goes, from histograms of trace nodes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dualrun.contracts import Role
from gateway.core.latency import latency_of
from gateway.core.report import NodeTime

__all__ = ["NODES_SHOWN", "nodes_of"]

NODES_SHOWN = 50


def nodes_of(histograms: Mapping[str, Mapping[str, Mapping[int, int]]]) -> Sequence[NodeTime]:
    """The longest first, at most `NODES_SHOWN`; histograms by path, measure (`authority`, `shadow`, `ratio`) and bucket."""
    nodes = (_node(path, measures) for path, measures in histograms.items())
    return sorted(nodes, key=lambda node: (-max(node.authority_ms, node.shadow_ms), node.path))[:NODES_SHOWN]


def _node(path: str, measures: Mapping[str, Mapping[int, int]]) -> NodeTime:
    ours, theirs, ratio = (latency_of(measures.get(measure, {})) for measure in (str(Role.AUTHORITY), str(Role.SHADOW), "ratio"))
    return NodeTime(path=path, pairs=ours.count, authority_ms=ours.p50_ms or 0.0, shadow_ms=theirs.p50_ms or 0.0, ratio=ratio.p50_ms or 0.0)
