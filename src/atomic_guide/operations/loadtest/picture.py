"""Lines over the seconds of a test, as SVG inside a page: colours are classes, which the page's style decides on.

Ramps are shaded, scaling events are marked. Latencies have a logarithmic axis: what matters in them lies decades apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 960, 200
LEFT, TOP, BOTTOM = 56, 8, 24
_COLUMNS = 480
"""Points of a line at most; where seconds share one, the highest is shown."""

_TICKS = 6
_NINES = 4
_KINDS = "abcdef"
_LEAST_DECADE = 1e-3


class Line(NamedTuple):
    """A line; None where nothing was measured. `kind` is its class in the style: `a` to `e`."""

    name: str
    kind: str
    values: Sequence[float | None]


class Over(NamedTuple):
    """The time that all pictures of a report share."""

    seconds: Sequence[int]
    whole: float
    shaded: Sequence[tuple[float, float]]
    marks: Sequence[tuple[float, str]]


def picture(title: str, unit: str, lines: Sequence[Line], over: Over, *, logarithmic: bool = False) -> str:
    """A figure with its legend."""
    scale = _Scale([value for line in lines for value in line.values if value is not None], logarithmic=logarithmic)
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg viewBox="0 0 {LEFT + WIDTH + 8} {height}" role="img" aria-label="{escape(title)}">',
        *(f'<rect class="ramp" x="{_x(begin, over):.1f}" y="{TOP}" width="{_x(end, over) - _x(begin, over):.1f}"'
          f' height="{HEIGHT}"/>' for begin, end in over.shaded),
        *(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
          f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(scale.told(value, unit))}</text>'
          for value, y in ((value, scale.y(value)) for value in scale.ticks)),
        *(f'<text x="{_x(over.whole * number / _TICKS, over):.1f}" y="{height - 6}" text-anchor="end">'
          f"{over.whole * number / _TICKS:.0f} s</text>" for number in range(1, _TICKS + 1)),
        *(f'<line class="mark" x1="{_x(at, over):.1f}" x2="{_x(at, over):.1f}" y1="{TOP}" y2="{TOP + HEIGHT}">'
          f"<title>{escape(text)}</title></line>" for at, text in over.marks),
        *(f'<path class="line {line.kind}" d="{_path(line.values, over, scale)}"/>' for line in lines),
        "</svg>",
    ]  # fmt: skip
    legend = " ".join(f'<span class="key {line.kind}">{escape(line.name)}</span>' for line in lines)
    return f"<figure><figcaption>{escape(title)} {legend}</figcaption>{''.join(parts)}</figure>"


def spectrum(title: str, counted: Mapping[str, Sequence[tuple[float, int]]]) -> str:
    """Latency by percentile, each nine as wide as the one before: (seconds, count) by name, six names at most."""
    scale = _Scale([seconds for pairs in counted.values() for seconds, _ in pairs], logarithmic=True)
    height = TOP + HEIGHT + BOTTOM
    parts = [f'<svg viewBox="0 0 {LEFT + WIDTH + 8} {height}" role="img" aria-label="{escape(title)}">']
    for value in scale.ticks:
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{scale.told(value, "s")}</text>')
    for nines in range(1, _NINES + 1):
        x = LEFT + WIDTH * nines / _NINES
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{TOP + HEIGHT}"/>')
        name = f"p{100 * (1 - 0.1**nines):g}"
        parts.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="end">{name}</text>')
    keys = []
    for (name, pairs), kind in zip(counted.items(), _KINDS, strict=False):
        parts.append(f'<path class="line {kind}" d="{_rising(pairs, scale)}"/>')
        keys.append(f'<span class="key {kind}">{escape(name)}</span>')
    return f"<figure><figcaption>{escape(title)} {' '.join(keys)}</figcaption>{''.join(parts)}</svg></figure>"


def _rising(pairs: Sequence[tuple[float, int]], scale: _Scale) -> str:
    whole = sum(count for _, count in pairs)
    seen, x = 0, float(LEFT)
    parts: list[str] = []
    for seconds, count in pairs:
        parts.append(f"{'L' if parts else 'M'}{x:.1f} {scale.y(seconds):.1f}")
        seen += count
        nines = -math.log10(1 - seen / whole) if seen < whole else math.log10(whole)
        x = LEFT + WIDTH * min(max(nines, 0.0), _NINES) / _NINES
        parts.append(f"L{x:.1f} {scale.y(seconds):.1f}")
    return "".join(parts)


class _Scale:
    """Where a value stands: from 0 evenly, or by decades."""

    def __init__(self, values: Sequence[float], *, logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        top = max([*values, 1e-9])
        if logarithmic:
            least = min([value for value in values if value > 0], default=_LEAST_DECADE)
            self._first = math.floor(math.log10(least))
            self._last = max(self._first + 1, math.ceil(math.log10(top)))
            self.ticks = [10.0**power for power in range(self._first, self._last + 1)]
        else:
            step = _step(top)
            self.ticks = [step * number for number in range(math.ceil(top / step - 1e-9) + 1)]
            self._top = self.ticks[-1]

    def y(self, value: float) -> float:
        """The height of a value."""
        if self._logarithmic:
            share = (math.log10(max(value, 1e-9)) - self._first) / (self._last - self._first)
        else:
            share = value / self._top
        return TOP + HEIGHT * (1 - min(max(share, 0.0), 1.0))

    @staticmethod
    def told(value: float, unit: str) -> str:
        """A value at the axis."""
        if unit == "s":
            return f"{value:g} s" if value >= 1 else f"{value * 1000:g} ms"
        return f"{value:,g}"


def _step(top: float) -> float:
    """A round number of which three to five reach the top."""
    decade: float = 10.0 ** math.floor(math.log10(top / 3))
    return next((decade * factor for factor in (1, 2, 5) if top / (decade * factor) <= 5), decade * 10)  # noqa: PLR2004


def _x(at: float, over: Over) -> float:
    return LEFT + WIDTH * min(max(at / over.whole, 0.0), 1.0)


def _path(values: Sequence[float | None], over: Over, scale: _Scale) -> str:
    """Lines over what was measured; a value by itself is a dot."""
    share = max(1, math.ceil(len(values) / _COLUMNS))
    parts: list[str] = []
    drawn = False
    for begin in range(0, len(values), share):
        known = [value for value in values[begin : begin + share] if value is not None]
        if not known:
            drawn = False
            continue
        # A second's value stands at its middle.
        x, y = _x(over.seconds[begin] - 0.5, over), scale.y(max(known))
        parts.append(f"{'L' if drawn else 'M'}{x:.1f} {y:.1f}" + ("" if drawn else "h1"))
        drawn = True
    return "".join(parts)
