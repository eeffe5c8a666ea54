"""Measured series as a picture: one line each, broken where nothing was measured."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from atomic_guide.operations.scaling.picture import BOTTOM, COLOURS, FONT, HEIGHT, LEFT, TOP, WIDTH, axes
from atomic_guide.operations.scaling.trace import Series

_ROW = 18
"""Height of a line of the legend, which is below: names of series are long."""


def chart(lines: Mapping[str, Series], start: float, step: float) -> str:
    """An SVG document over values at the same regular times. Where many share a column, the highest is shown."""
    count = max(len(values) for values in lines.values())
    top = max([1e-9, *(float(np.nanmax(values)) for values in lines.values() if not np.isnan(values).all())])
    legend = TOP + HEIGHT + BOTTOM
    height = legend + _ROW * len(lines) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 16} {height}" role="img" {FONT}>',
        f"<title>{escape(', '.join(lines))}</title>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
        *axes(top, start, count * step),
    ]
    for number, (name, values) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if number >= len(COLOURS) else ""
        path = _path(_columns(values), top)
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"{dash}/>')
        y = legend + _ROW * number + 12
        parts.append(f'<rect x="{LEFT}" y="{y - 10}" width="12" height="12" fill="{colour}"/>')
        parts.append(f'<text x="{LEFT + 17}" y="{y}" fill="#1d1d1b">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _columns(values: Series) -> Series:
    columns = min(WIDTH, len(values))
    bounds = np.linspace(0, len(values), columns, endpoint=False).astype(int)
    filled = np.where(np.isnan(values), -np.inf, values)
    most = np.maximum.reduceat(filled, bounds)
    return np.where(np.isinf(most), np.nan, most)


def _path(values: Series, top: float) -> str:
    """Lines over what was measured; a value by itself is a dot."""
    last = max(len(values) - 1, 1)
    parts: list[str] = []
    drawn = False
    for number, value in enumerate(values.tolist()):
        if np.isnan(value):
            drawn = False
            continue
        x, y = LEFT + number * WIDTH / last, TOP + HEIGHT * (1 - value / top)
        parts.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}" + ("" if drawn else "h1"))
        drawn = True
    return " ".join(parts)
