"""How the ledger grew, as an SVG: rows and bytes over the pairs compared, one ledger beside the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec

__all__ = ["Day", "plot"]

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 900, 190, 72, 20, 44, 54
FONT = "font-family='system-ui, sans-serif' font-size='12'"
COLOURS = ("#2563eb", "#059669", "#d97706")


class Day(msgspec.Struct, frozen=True):
    """The ledger at the end of a day."""

    pairs: int
    """Compared since the beginning."""
    distinct: int
    """Differences each task that differs can have."""
    raw_rows: int
    other_rows: int
    kib: int


def plot(ledgers: Mapping[str, Sequence[Day]]) -> str:
    """The document."""
    height = TOP + 3 * PANEL + 2 * GAP + 46
    days = next(iter(ledgers.values()))
    pairs = [day.pairs for day in days]
    panels: list[tuple[str, Mapping[str, Sequence[float]]]] = [
        ("rows of submissions, outcomes and comparisons", {"both ledgers": [day.raw_rows for day in days]}),
        ("all other rows", {"both ledgers": [day.other_rows for day in days]}),
        ("MiB in use", {name: [day.kib / 1024 for day in of_one] for name, of_one in ledgers.items()}),
    ]
    turn = next((day.pairs for day, then in pairwise(days) if then.distinct != day.distinct), pairs[-1])
    title = f"the same traffic every day; from {turn:,} pairs on there are ten times as many distinct differences"
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' {FONT}>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        f"<text x='{LEFT}' y='20' font-size='14' font-weight='600'>The ledger: {title}</text>",
    ]
    for number, (name, lines) in enumerate(panels):
        parts += _panel(TOP + number * (PANEL + GAP), name, pairs, turn, lines)
    parts += [f"<text x='{WIDTH / 2}' y='{height - 8}' text-anchor='middle' fill='#555'>pairs compared</text>", "</svg>"]
    return "\n".join(parts) + "\n"


def _panel(top: float, title: str, pairs: Sequence[int], turn: int, lines: Mapping[str, Sequence[float]]) -> list[str]:
    highest = max(max(values) for values in lines.values()) * 1.15 or 1.0
    wide = WIDTH - LEFT - RIGHT

    def x_of(n: float) -> float:
        return LEFT + wide * n / pairs[-1]

    parts = [f"<text x='{LEFT}' y='{top - 8}' fill='#555'>{title}</text>"]
    for step in range(5):
        y = top + PANEL - PANEL * step / 4
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e5e7eb'/>")
        parts.append(f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' fill='#555'>{highest * step / 4:,.0f}</text>")
    at = f"x1='{x_of(turn):.1f}' x2='{x_of(turn):.1f}' y1='{top}' y2='{top + PANEL}'"
    parts.append(f"<line {at} stroke='#9ca3af' stroke-dasharray='4 4'/>")
    parts += [f"<text x='{x_of(n):.1f}' y='{top + PANEL + 16}' text-anchor='middle' fill='#555'>{n:,}</text>" for n in pairs[3::4]]
    for number, (name, values) in enumerate(lines.items()):
        points = " ".join(f"{x_of(n):.1f},{top + PANEL - PANEL * value / highest:.1f}" for n, value in zip(pairs, values, strict=True))
        parts.append(f"<polyline points='{points}' fill='none' stroke='{COLOURS[number]}' stroke-width='1.6'/>")
        parts.append(f"<text x='{WIDTH - RIGHT - 170 + 90 * number}' y='{top - 8}' fill='{COLOURS[number]}'>{name}</text>")
    return parts
