"""The soak's samples as an SVG: memory and latency over time, one above the other. By hand, so that drawing needs no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

__all__ = ["plot"]

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 900, 190, 64, 20, 44, 46
FONT = "font-family='system-ui, sans-serif' font-size='12'"
MEMORY, P50, P99 = "#2563eb", "#059669", "#d97706"


def plot(report: Mapping[str, object]) -> str:
    """The document."""
    # Without the first: in it the workers start.
    samples = cast("Sequence[Mapping[str, float]]", report["samples"])[1:]
    settings = cast("Mapping[str, object]", report["settings"])
    at = [sample["at_s"] / 60 for sample in samples]
    height = TOP + 2 * PANEL + GAP + 40
    title = (
        f"{report['finished']:,} events at {settings['rate_per_s']:g}/s, {settings['processes']} processes and their supervisor, inbox on; "
        f"measured {str(report['measured_at'])[:10]}"
    )
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' {FONT}>",
        f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
        f"<text x='{LEFT}' y='22' font-size='14' font-weight='600'>{title}</text>",
        *_panel(TOP, "MiB (PSS, all processes)", at, [(MEMORY, "memory", [sample["pss_mib"] for sample in samples])]),
        *_panel(
            TOP + PANEL + GAP,
            "ms from publish to done",
            at,
            [(P50, "p50", [sample["p50_ms"] for sample in samples]), (P99, "p99", [sample["p99_ms"] for sample in samples])],
        ),
        f"<text x='{WIDTH / 2}' y='{height - 8}' text-anchor='middle' fill='#555'>minutes</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _panel(top: float, title: str, at: Sequence[float], lines: Sequence[tuple[str, str, Sequence[float]]]) -> list[str]:
    highest = max(max(values) for _, _, values in lines) * 1.15 or 1.0
    last = max(at)
    parts = [f"<text x='{LEFT}' y='{top - 8}' fill='#555'>{title}</text>"]
    for step in range(5):
        y = top + PANEL - PANEL * step / 4
        parts.append(f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' stroke='#e5e7eb'/>")
        parts.append(f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' fill='#555'>{highest * step / 4:,.0f}</text>")
    for minute in range(int(last) + 1):
        x = LEFT + (WIDTH - LEFT - RIGHT) * minute / last
        parts.append(f"<text x='{x:.1f}' y='{top + PANEL + 16}' text-anchor='middle' fill='#555'>{minute}</text>")
    for number, (colour, name, values) in enumerate(lines):
        points = " ".join(
            f"{LEFT + (WIDTH - LEFT - RIGHT) * minute / last:.1f},{top + PANEL - PANEL * value / highest:.1f}"
            for minute, value in zip(at, values, strict=True)
        )
        parts.append(f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.6'/>")
        parts.append(f"<text x='{WIDTH - RIGHT - 60 + 34 * number}' y='{top - 8}' fill='{colour}'>{name}</text>")
    return parts
