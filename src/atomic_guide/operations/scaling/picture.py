"""A replay as a picture: the demand as an area, what each policy had ready as a line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

import numpy as np

from atomic_guide.operations.scaling.simulate import Counts, Terms
from atomic_guide.operations.scaling.trace import Series

WIDTH, HEIGHT = 1000, 320
LEFT, TOP, BOTTOM = 64, 36, 32
COLOURS = ("#2a78d6", "#1baf7a", "#eda100", "#d64545", "#7a5cd6", "#0f8f8f", "#b8578f", "#6b7280")
"""Told apart in the usual forms of colour blindness by lightness as well, in this order."""

_LABELS = 6
_WHOLE = 10
"""From here on, values at the axis are whole numbers."""
FONT = 'font-family="system-ui, sans-serif" font-size="12"'


def draw(demand: Series, terms: Terms, ready: Mapping[str, Counts], start: float) -> str:
    """An SVG document. Many ticks share a column: the highest demand and the lowest capacity of it are shown."""
    columns = min(WIDTH, len(demand))
    bounds = np.linspace(0, len(demand), columns, endpoint=False).astype(int)
    most = np.maximum.reduceat(np.nan_to_num(demand), bounds)
    lines = {name: np.minimum.reduceat(counts, bounds) * terms.unit for name, counts in ready.items()}
    top = max([float(most.max(initial=0)), *(float(line.max(initial=0)) for line in lines.values()), 1.0])
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} {height}" role="img" {FONT}>',
        "<title>Demand, and the capacity that was ready under each policy</title>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
        *axes(top, start, len(demand) * terms.tick),
        f'<path d="{_path(most, top)} L{LEFT + WIDTH} {TOP + HEIGHT} L{LEFT} {TOP + HEIGHT} Z" fill="#d6d3cb"/>',
    ]
    for number, (name, line) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<path d="{_path(line, top)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        left = LEFT + number * 125
        parts.append(f'<rect x="{left}" y="10" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{left + 17}" y="20" fill="#1d1d1b">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _path(values: Series, top: float) -> str:
    points = [
        f"{LEFT + number * WIDTH / max(len(values) - 1, 1):.1f} {TOP + HEIGHT * (1 - value / top):.1f}"
        for number, value in enumerate(values.tolist())
    ]
    return "M" + " L".join(points)


def axes(top: float, start: float, seconds: float) -> list[str]:
    """Lines for five values from 0 to `top`, and six moments of the time."""
    parts = []
    for number in range(5):
        share = number / 4
        y = TOP + HEIGHT * (1 - share)
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#e7e5df"/>')
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#5c5a55">{_tick(top * share, top)}</text>'
        )
    for number in range(_LABELS):
        moment = datetime.fromtimestamp(start + seconds * number / _LABELS, UTC)
        x = LEFT + WIDTH * number / _LABELS
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 20}" fill="#5c5a55">{moment:%Y-%m-%d %H:%M}</text>')
    return parts


def _tick(value: float, top: float) -> str:
    return f"{value:,.0f}" if top >= _WHOLE else f"{value:.3g}"
